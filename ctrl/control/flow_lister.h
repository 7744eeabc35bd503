// FlowLister: `flows`. Asks the workers, one page at a time, and names what they number. A worker
// that does not answer in time fails the request, nothing else. ctrl thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "ctrl/control/controller.h"

namespace sluice::ctrl {

inline constexpr uint32_t flows_page_max = 4096;
inline constexpr uint64_t flows_wait_ms = 2000;

struct FlowFilter {
  uint32_t limit = 100;  // above flows_page_max: flows_page_max
  uint64_t cursor = 0;
  std::string pool, backend, route;  // empty: any
};

class FlowLister {
 public:
  using Done = std::function<void(Result<Json> page)>;

  FlowLister(EventLoop& loop, Controller& controller) : loop_(loop), controller_(controller) {}
  ~FlowLister();

  /// {flows: […], next}. A page may hold fewer flows than asked, even none, while next is not 0:
  /// filters that name several identities are applied here, not in the workers.
  void list(const FlowFilter& filter, Done done);

 private:
  struct Request {
    FlowFilter filter;
    Done done;
    uint64_t deadline_ns = 0;
  };
  Result<dataplane::FlowQuery> query_of(const FlowFilter& filter) const;
  void answer(const std::shared_ptr<Request>& request, const dataplane::FlowPage& page);
  void poll();

  EventLoop& loop_;
  Controller& controller_;
  std::list<std::shared_ptr<Request>> waiting_;
  OperationId timer_ = 0;
};

}  // namespace sluice::ctrl
