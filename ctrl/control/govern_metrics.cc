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
  const GovernCounts& counts = controller.governor().counts();
  families.push_back(
      gauge_family("sluice_approvals_pending", "Changes that wait for a second person.")
          .add({}, double(controller.governor().approvals().all().size()))
          .take());
  families.push_back(counter_family("sluice_approvals_total", "How waits for approval ended.")
                         .add({{"outcome", "approved"}}, double(counts.approved))
                         .add({{"outcome", "rejected"}}, double(counts.rejected))
                         .add({{"outcome", "expired"}}, double(counts.expired))
                         .add({{"outcome", "invalid"}}, double(counts.invalidated))
                         .take());
  families.push_back(counter_family("sluice_break_glass_total", "Changes made with --break-glass.")
                         .add({}, double(counts.break_glass))
                         .take());
}

}  // namespace sluice::ctrl
