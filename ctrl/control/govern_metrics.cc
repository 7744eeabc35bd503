#include "ctrl/control/govern_metrics.h"

#include "ctrl/control/metrics_builder.h"

namespace sluice::ctrl {

void add_govern_metrics(const Controller& controller,
                        std::vector<prometheus::MetricFamily>& families) {
  const AuditTrail& audit = controller.audit();
  FamilyBuilder records =
      counter_family("sluice_audit_records_total", "Records written to the audit log, by event.");
  for (const auto& [event, count] : audit.records()) records.add({{"event", event}}, double(count));
  families.push_back(records.take());
  families.push_back(counter_family("sluice_audit_failures_total",
                                    "Audit records that could not be written when they were due.")
                         .add({}, double(audit.failures()))
                         .take());
  FamilyBuilder refusals =
      counter_family("sluice_refusals_total", "Changes that were refused, by the reason.");
  for (const auto& [kind, count] : audit.refusals()) refusals.add({{"kind", kind}}, double(count));
  families.push_back(refusals.take());
}

}  // namespace sluice::ctrl
