// RpcConnection: one client of the control socket. Requests are answered in the order they came;
// while one waits for its answer no other is read, so a client can never make sluiced hoard work.
// Output is queued up to a bound: a `watch` reader that is slow loses events, and is told how
// many; one that takes nothing for a while is cut. ctrl thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ctrl/control/event_hub.h"
#include "ctrl/control/line_buffer.h"
#include "ctrl/control/rpc.h"
#include "ctrl/control/unique_fd.h"
#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

struct RpcLimits {
  size_t clients_max = 4096;
  size_t line_bytes_max = json_bytes_max;
  size_t input_bytes_max = 64u << 20;  // of all clients together
  size_t output_bytes_max = 1u << 20;  // per client: above it events are lost, requests wait
  std::chrono::milliseconds stall_max{30'000};  // a reader that takes nothing is cut after this
};

/// What the connections of one server share.
struct RpcShared {
  EventLoop& loop;
  EventHub& events;
  RpcHandler handler;
  RpcLimits limits;
  size_t input_bytes = 0;
  std::function<void(uint64_t id)> closed;
};

class RpcConnection : public std::enable_shared_from_this<RpcConnection> {
 public:
  RpcConnection(std::shared_ptr<RpcShared> shared, uint64_t id, UniqueFd fd);
  ~RpcConnection();

  void start();
  void close();

 private:
  void wait_readable();
  void wait_hangup();
  void read_some();
  void take(std::string_view bytes);
  void work();
  void finish_when_idle();
  void handle(std::string_view line);
  void dispatch(const RpcRequest& request);
  void answered(const Json& id, bool notification, const RpcResult& result);
  void subscribe();
  void on_event(const EventLine& line);
  void refuse_line(int code, std::string message);
  void queue(EventLine line);
  void flush();
  void tell_lost();
  void watch_stall();
  void tell_log(std::string_view what) const;
  void account_input();

  std::shared_ptr<RpcShared> shared_;
  uint64_t id_;
  UniqueFd fd_;
  Author author_;
  LineBuffer input_;
  size_t accounted_bytes_ = 0;
  std::deque<EventLine> output_;
  size_t output_sent_ = 0;   // of output_.front()
  size_t output_bytes_ = 0;  // not yet sent
  uint64_t lost_events_ = 0;
  uint64_t subscription_ = 0;
  uint64_t progress_ = 0;  // bytes the peer ever took
  OperationId reading_ = 0, writing_ = 0, stalling_ = 0;
  bool pending_ = false;  // a request waits for its answer
  bool scheduled_ = false;
  bool eof_ = false;
};

}  // namespace sluice::ctrl
