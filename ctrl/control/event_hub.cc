#include "ctrl/control/event_hub.h"

#include <vector>

#include "ctrl/control/generation.h"

namespace sluice::ctrl {

uint64_t EventHub::subscribe(Sink sink) {
  sinks_.emplace(next_id_, std::move(sink));
  return next_id_++;
}

void EventHub::unsubscribe(uint64_t id) { sinks_.erase(id); }

void EventHub::emit(std::string_view type, Json fields) {
  if (sinks_.empty()) return;
  const EventLine line = event_line(type, std::move(fields));
  std::vector<uint64_t> ids;
  for (const auto& [id, sink] : sinks_) ids.push_back(id);
  for (const uint64_t id : ids) {
    const auto at = sinks_.find(id);
    if (at == sinks_.end()) continue;
    const Sink sink = at->second;  // a copy: the sink may erase itself
    sink(line);
  }
}

EventLine event_line(std::string_view type, Json fields) {
  fields["type"] = type;
  fields["time"] = wall_time_now();
  const Json event = {{"jsonrpc", "2.0"}, {"method", "event"}, {"params", std::move(fields)}};
  return std::make_shared<const std::string>(to_line(event) + "\n");
}

}  // namespace sluice::ctrl
