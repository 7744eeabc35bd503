#include "ctrl/runtime/slow_path.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <utility>

#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

namespace {

constexpr auto poll_retry_delay = std::chrono::milliseconds(100);

class EngineSlowPath final : public SlowPath {
 public:
  EngineSlowPath(EventLoop& loop, dataplane::Engine& engine, std::unique_ptr<NetlinkSocket> netlink)
      : loop_(loop), engine_(engine), netlink_(std::move(netlink)) {}
  EngineSlowPath(const EngineSlowPath&) = delete;
  EngineSlowPath& operator=(const EngineSlowPath&) = delete;
  ~EngineSlowPath() override { loop_.cancel(waiting_); }

  Status open_taps(const std::vector<TapOptions>& options);
  void pump();

  TapDevice& tap(uint8_t port) override { return *taps_.at(port); }
  std::map<int, uint8_t> ports_by_ifindex() const override;
  const SlowPathCounters& counters() const override { return counters_; }

 private:
  bool punt_round();
  void wait_for_punts();
  void drain_punt_fd();

  EventLoop& loop_;
  dataplane::Engine& engine_;
  std::unique_ptr<NetlinkSocket> netlink_;
  std::vector<std::unique_ptr<TapDevice>> taps_;  // by port id
  SlowPathCounters counters_;
  OperationId waiting_ = 0;  // the poll, or the timer that goes on with the next round
};

Status EngineSlowPath::open_taps(const std::vector<TapOptions>& options) {
  for (const TapOptions& wanted : options) {
    const auto port = static_cast<uint8_t>(taps_.size());
    auto tap =
        TapDevice::create(loop_, *netlink_, wanted, [this, port](std::span<const uint8_t> frame) {
          ++(engine_.inject(port, frame) ? counters_.injected : counters_.inject_dropped);
        });
    if (!tap) return std::unexpected(tap.error());
    taps_.push_back(std::move(*tap));
  }
  return {};
}

/// True when frames may be left.
bool EngineSlowPath::punt_round() {
  dataplane::PuntFrame frame;
  for (unsigned taken = 0; taken < punts_per_round_max; ++taken) {
    if (!engine_.punt_pop(frame)) return false;
    ++counters_.punted;
    if (frame.port < taps_.size()) {
      taps_[frame.port]->write(frame.bytes);
    } else {
      ++counters_.punted_no_port;
    }
    engine_.punt_release(frame);
  }
  return true;
}

void EngineSlowPath::pump() {
  drain_punt_fd();
  engine_.poll_replies();  // announced by the same descriptor
  if (punt_round() || !engine_.arm_punt_fd()) {
    waiting_ = loop_.after(std::chrono::nanoseconds(0), [this](int) { pump(); });
    return;
  }
  wait_for_punts();
}

void EngineSlowPath::wait_for_punts() {
  waiting_ = loop_.poll(engine_.punt_fd(), POLLIN, [this](int result) {
    if (result >= 0) return pump();
    log_error("slow_path", "cannot wait for punted frames", {{"error", std::strerror(-result)}});
    waiting_ = loop_.after(poll_retry_delay, [this](int) { pump(); });
  });
}

/// Before the ring is emptied: a wake-up that comes later stays in the descriptor.
void EngineSlowPath::drain_punt_fd() {
  pollfd readable{.fd = engine_.punt_fd(), .events = POLLIN, .revents = 0};
  if (::poll(&readable, 1, 0) != 1) return;
  uint64_t wakeups = 0;
  [[maybe_unused]] const ssize_t bytes = ::read(readable.fd, &wakeups, sizeof wakeups);
}

std::map<int, uint8_t> EngineSlowPath::ports_by_ifindex() const {
  std::map<int, uint8_t> ports;
  for (size_t port = 0; port < taps_.size(); ++port) {
    ports[taps_[port]->ifindex()] = static_cast<uint8_t>(port);
  }
  return ports;
}

Prefix whole(const IpAddress& address) {
  return {.address = address,
          .length = static_cast<uint8_t>(address.family == Family::v4 ? 32 : 128)};
}

}  // namespace

Result<std::unique_ptr<SlowPath>> SlowPath::create(EventLoop& loop, dataplane::Engine& engine,
                                                   const std::vector<TapOptions>& taps) {
  auto netlink = NetlinkSocket::open();
  if (!netlink) return std::unexpected(netlink.error());
  auto slow_path = std::make_unique<EngineSlowPath>(loop, engine, std::move(*netlink));
  if (Status opened = slow_path->open_taps(taps); !opened) return std::unexpected(opened.error());
  slow_path->pump();
  return slow_path;
}

std::vector<std::vector<Prefix>> tap_addresses(const std::vector<PortConfig>& ports,
                                               const std::vector<ListenerConfig>& listeners) {
  std::vector<std::vector<Prefix>> addresses(ports.size());
  if (ports.empty()) return addresses;
  std::set<IpAddress> placed;
  for (size_t port = 0; port < ports.size(); ++port) {
    for (const Prefix& own : ports[port].addresses) {
      if (placed.insert(own.address).second) addresses[port].push_back(own);
    }
  }
  for (const ListenerConfig& listener : listeners) {
    if (!placed.insert(listener.address).second) continue;
    size_t home = 0;
    for (size_t port = ports.size(); port-- > 0;) {
      for (const Prefix& network : ports[port].addresses) {
        if (network.contains(listener.address)) home = port;
      }
    }
    addresses[home].push_back(whole(listener.address));
  }
  return addresses;
}

}  // namespace sluice::ctrl
