#include "ctrl/runtime/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ctrl/runtime/interface.h"
#include "ctrl/runtime/log.h"
#include "ctrl/runtime/netlink_message.h"

namespace sluice::ctrl {

namespace {

constexpr size_t ethernet_bytes_max = 14 + 8;  // with two VLAN tags
constexpr auto read_retry_delay = std::chrono::seconds(1);

using Buffer = std::vector<std::byte>;

/// What the kernel may still use after the device object is gone.
struct Tap {
  explicit Tap(int descriptor) : fd(descriptor) {}
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;
  ~Tap() { ::close(fd); }

  int fd;
  TapDevice::OnFrame on_frame;
  TapCounters counters;
  size_t writes_in_flight = 0;
  std::vector<std::shared_ptr<Buffer>> free_buffers;
};

class KernelTap final : public TapDevice {
 public:
  KernelTap(EventLoop& loop, NetlinkSocket& netlink, std::shared_ptr<Tap> tap, Interface interface,
            size_t frame_bytes_max)
      : loop_(loop),
        netlink_(netlink),
        tap_(std::move(tap)),
        interface_(std::move(interface)),
        frame_bytes_max_(frame_bytes_max) {
    for (size_t reader = 0; reader < readers_.size(); ++reader) {
      read_next(reader, std::make_shared<Buffer>(frame_bytes_max_));
    }
  }
  KernelTap(const KernelTap&) = delete;
  KernelTap& operator=(const KernelTap&) = delete;
  ~KernelTap() override;

  const std::string& name() const override { return interface_.name(); }
  int ifindex() const override { return interface_.index(); }
  bool write(std::span<const uint8_t> frame) override;
  Status set_addresses(const std::vector<Prefix>& addresses) override {
    return interface_.set_addresses(addresses);
  }
  const TapCounters& counters() const override { return tap_->counters; }

 private:
  void read_next(size_t reader, std::shared_ptr<Buffer> buffer);
  void read_done(size_t reader, std::shared_ptr<Buffer> buffer, int result);

  EventLoop& loop_;
  NetlinkSocket& netlink_;
  std::shared_ptr<Tap> tap_;
  Interface interface_;
  size_t frame_bytes_max_;
  std::array<OperationId, tap_reads_in_flight> readers_{};
};

KernelTap::~KernelTap() {
  for (const OperationId reader : readers_) loop_.cancel(reader);
  // The reads hold the descriptor until the loop turns next; the interface goes now.
  NetlinkRequest<ifinfomsg> request(RTM_DELLINK);
  request->ifi_index = interface_.index();
  netlink_.transact(request.header());
}

void KernelTap::read_next(size_t reader, std::shared_ptr<Buffer> buffer) {
  const std::span<std::byte> into(*buffer);
  readers_[reader] = loop_.read(tap_->fd, into,
                                [this, tap = tap_, reader, buffer = std::move(buffer)](int result) {
                                  read_done(reader, buffer, result);
                                });
}

void KernelTap::read_done(size_t reader, std::shared_ptr<Buffer> buffer, int result) {
  if (result > 0) {
    tap_->counters.from_kernel_frames += 1;
    tap_->counters.from_kernel_bytes += static_cast<uint64_t>(result);
    tap_->on_frame({reinterpret_cast<const uint8_t*>(buffer->data()), static_cast<size_t>(result)});
  } else if (result != -EINTR && result != -EAGAIN) {
    ++tap_->counters.errors;
    log_error("tap", "cannot read", {{"interface", name()}, {"error", std::strerror(-result)}});
    readers_[reader] =
        loop_.after(read_retry_delay, [this, reader, buffer](int) { read_next(reader, buffer); });
    return;
  }
  read_next(reader, std::move(buffer));
}

bool KernelTap::write(std::span<const uint8_t> frame) {
  TapCounters& counters = tap_->counters;
  if (frame.size() > frame_bytes_max_ || tap_->writes_in_flight >= tap_writes_in_flight_max) {
    ++counters.to_kernel_dropped;
    return false;
  }
  std::shared_ptr<Buffer> buffer;
  if (tap_->free_buffers.empty()) {
    buffer = std::make_shared<Buffer>();
    buffer->reserve(frame_bytes_max_);
  } else {
    buffer = std::move(tap_->free_buffers.back());
    tap_->free_buffers.pop_back();
  }
  const auto bytes = std::as_bytes(frame);
  buffer->assign(bytes.begin(), bytes.end());
  ++tap_->writes_in_flight;
  const std::span<const std::byte> from(*buffer);
  loop_.write(tap_->fd, from, [tap = tap_, buffer = std::move(buffer)](int result) {
    --tap->writes_in_flight;
    if (result >= 0) {
      ++tap->counters.to_kernel_frames;
      tap->counters.to_kernel_bytes += static_cast<uint64_t>(result);
    } else {
      ++tap->counters.errors;
    }
    tap->free_buffers.push_back(buffer);
  });
  return true;
}

Result<int> open_tap(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return fail(fmt::format("TAP \"{}\": a name has 1 to {} characters", name, IFNAMSIZ - 1));
  }
  const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return fail(fmt::format("TAP {}: cannot open /dev/net/tun: {}", name, std::strerror(errno)));
  }
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
  std::ranges::copy(name, request.ifr_name);
  if (::ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  const int error = errno;
  ::close(fd);
  const char* hint = "";
  if (error == EBUSY) hint = "; an interface of this name exists: is another sluiced running?";
  if (error == EPERM) hint = "; run as root or with CAP_NET_ADMIN";
  return fail(fmt::format("TAP {}: {}{}", name, std::strerror(error), hint));
}

}  // namespace

Result<std::unique_ptr<TapDevice>> TapDevice::create(EventLoop& loop, NetlinkSocket& netlink,
                                                     const TapOptions& options, OnFrame on_frame) {
  const Result<int> fd = open_tap(options.name);
  if (!fd) return std::unexpected(fd.error());
  auto tap = std::make_shared<Tap>(*fd);
  tap->on_frame = std::move(on_frame);
  Interface interface(netlink, options.name,
                      static_cast<int>(::if_nametoindex(options.name.c_str())));
  for (const std::string& failure : interface.harden()) {
    log_warn("tap", "cannot set sysctl", {{"sysctl", failure}});
  }
  if (Status up = interface.bring_up(options.mac, options.mtu); !up) {
    return std::unexpected(up.error());
  }
  return std::make_unique<KernelTap>(loop, netlink, std::move(tap), std::move(interface),
                                     options.mtu + ethernet_bytes_max);
}

}  // namespace sluice::ctrl
