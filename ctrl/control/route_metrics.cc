#include "ctrl/control/route_metrics.h"

#include "ctrl/compile/pool_status.h"
#include "ctrl/control/metrics_builder.h"

namespace sluice::ctrl {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

void add_conditions(const Controller& controller, Families& into) {
  FamilyBuilder conditions =
      gauge_family("sluice_route_condition", "1 for the status that a route's condition has.");
  for (const auto& [route, state] : controller.conditions().states()) {
    for (size_t i = 0; i < condition_types.size(); i++) {
      for (const auto status :
           {ConditionStatus::yes, ConditionStatus::no, ConditionStatus::unknown}) {
        conditions.add({{"route", route},
                        {"condition", std::string(to_string(condition_types[i]))},
                        {"status", std::string(to_string(status))}},
                       state.conditions[i].status == status ? 1 : 0);
      }
    }
  }
  into.push_back(conditions.take());
}

void add_draining(const Controller& controller, Families& into) {
  FamilyBuilder draining =
      gauge_family("sluice_connections_draining",
                   "Connections that were there before their pool or backend lost its traffic.");
  for (const Draining& each : gather_draining(controller)) {
    draining.add({{"route", each.route},
                  {"rule", std::to_string(each.rule)},
                  {"pool", each.pool},
                  {"backend", each.backend ? to_string(*each.backend) : ""},
                  {"existing", std::string(to_string(each.existing))}},
                 double(each.active));
  }
  into.push_back(draining.take());
}

void add_handshakes(const Controller& controller, Families& into) {
  FamilyBuilder failed =
      counter_family("sluice_backend_handshakes_failed_total",
                     "TCP handshakes of clients that the backend refused or did not answer.");
  for (const PoolStatus& pool :
       pool_status(controller.config(), controller.observed(), controller.registry())) {
    for (const BackendStatus& backend : pool.backends) {
      if (backend.id == model::no_backend) continue;
      const BackendTrouble trouble = controller.sampler().trouble(backend.id);
      const auto labels = [&](const char* result) {
        return Labels{{"pool", pool.name},
                      {"service", pool.service},
                      {"version", pool.version},
                      {"backend", to_string(backend.endpoint)},
                      {"result", result}};
      };
      failed.add(labels("refused"), double(trouble.refused));
      failed.add(labels("unanswered"), double(trouble.unanswered));
    }
  }
  into.push_back(failed.take());
}

}  // namespace

void add_route_metrics(const Controller& controller, Families& families) {
  add_conditions(controller, families);
  add_draining(controller, families);
  add_handshakes(controller, families);
}

}  // namespace sluice::ctrl
