// EventHub: what happens, told to whoever watches. An event is serialised once and shared by all
// watchers. ctrl thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "ctrl/control/bounded_json.h"

namespace sluice::ctrl {

/// One line with its newline, ready to send.
using EventLine = std::shared_ptr<const std::string>;

class EventHub {
 public:
  using Sink = std::function<void(const EventLine& line)>;

  /// A sink may unsubscribe itself or others while it is called.
  uint64_t subscribe(Sink sink);
  void unsubscribe(uint64_t id);

  /// {"jsonrpc":"2.0","method":"event","params":{"type":type,"time":now, ...fields}}.
  void emit(std::string_view type, Json fields);

  size_t watchers() const { return sinks_.size(); }

 private:
  std::map<uint64_t, Sink> sinks_;
  uint64_t next_id_ = 1;
};

/// The line of one event; `fields` is an object.
EventLine event_line(std::string_view type, Json fields);

}  // namespace sluice::ctrl
