#include "ctrl/runtime/netlink.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "ctrl/runtime/log.h"
#include "dataplane/base/byte_order.h"

namespace sluice::ctrl {

namespace {

// Dumps come in messages of up to 32 KiB when the reader has room for them.
constexpr size_t buffer_bytes = 65'536;
constexpr int monitor_socket_bytes = 4 << 20;
constexpr timeval answer_timeout = {.tv_sec = 2, .tv_usec = 0};
constexpr auto retry_delay = std::chrono::milliseconds(100);

struct SocketCloser {
  void operator()(mnl_socket* socket) const { ::mnl_socket_close(socket); }
};
using SocketHandle = std::unique_ptr<mnl_socket, SocketCloser>;

Result<SocketHandle> open_route_socket() {
  SocketHandle socket(::mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || ::mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail(fmt::format("cannot open a rtnetlink socket: {}", std::strerror(errno)));
  }
  return socket;
}

class RouteSocket final : public NetlinkSocket {
 public:
  explicit RouteSocket(SocketHandle socket) : socket_(std::move(socket)) {}

  int transact(nlmsghdr& request, const NetlinkVisitor& each) override {
    request.nlmsg_seq = ++sequence_;
    request.nlmsg_pid = ::mnl_socket_get_portid(socket_.get());
    request.nlmsg_flags |= NLM_F_REQUEST;
    if (!is_dump(request)) request.nlmsg_flags |= NLM_F_ACK;
    while (::mnl_socket_sendto(socket_.get(), &request, request.nlmsg_len) < 0) {
      if (errno != EINTR) return -errno;
    }
    std::optional<int> end;
    while (!end) {
      const ssize_t bytes = ::mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
      if (bytes < 0) {
        if (errno == EINTR) continue;
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
      }
      end = show(static_cast<int>(bytes), request.nlmsg_pid, each);
    }
    return *end;
  }

 private:
  /// A dump ends by itself. The bits of NLM_F_DUMP mean something else in other requests.
  static bool is_dump(const nlmsghdr& request) {
    const bool get = (request.nlmsg_type - RTM_BASE) % 4 == 2;
    return get && (request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  }

  /// The outcome when these bytes held the end of the answer.
  std::optional<int> show(int bytes, uint32_t port, const NetlinkVisitor& each) const {
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    for (; ::mnl_nlmsg_ok(message, bytes); message = ::mnl_nlmsg_next(message, &bytes)) {
      // The rest of an answer that was given up earlier carries another sequence number.
      if (message->nlmsg_seq != sequence_ || message->nlmsg_pid != port) continue;
      if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) return -EINTR;
      if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
        const bool has_code = ::mnl_nlmsg_get_payload_len(message) >= sizeof(int);
        return has_code ? load<int>(::mnl_nlmsg_get_payload(message)) : 0;
      }
      if (message->nlmsg_type >= NLMSG_MIN_TYPE && each) each(*message);
    }
    return std::nullopt;
  }

  SocketHandle socket_;
  uint32_t sequence_ = 0;
  std::array<char, buffer_bytes> buffer_;
};

class RouteMonitor final : public NetlinkMonitor {
 public:
  RouteMonitor(EventLoop& loop, SocketHandle socket, NetlinkVisitor each,
               std::function<void()> overflow)
      : loop_(loop),
        state_(std::make_shared<State>(std::move(socket), std::move(each), std::move(overflow))) {
    listen();
  }
  RouteMonitor(const RouteMonitor&) = delete;
  RouteMonitor& operator=(const RouteMonitor&) = delete;
  ~RouteMonitor() override { loop_.cancel(operation_); }

 private:
  /// What the kernel may still use after we are gone: the socket and the buffer.
  struct State {
    State(SocketHandle handle, NetlinkVisitor visitor, std::function<void()> on_overflow)
        : socket(std::move(handle)), each(std::move(visitor)), overflow(std::move(on_overflow)) {}
    SocketHandle socket;
    NetlinkVisitor each;
    std::function<void()> overflow;
    std::array<char, buffer_bytes> buffer;
  };

  void listen() {
    const int fd = ::mnl_socket_get_fd(state_->socket.get());
    operation_ = loop_.read(fd, std::as_writable_bytes(std::span(state_->buffer)),
                            [this, state = state_](int result) { heard(result); });
  }

  void heard(int result) {
    if (result == -ENOBUFS) {
      log_warn("netlink", "messages lost, asking again");
      discard();
      state_->overflow();
    } else if (result < 0 && result != -EINTR && result != -EAGAIN) {
      log_error("netlink", "cannot read", {{"error", std::strerror(-result)}});
      operation_ = loop_.after(retry_delay, [this](int) {
        state_->overflow();
        listen();
      });
      return;
    } else if (result > 0) {
      show(static_cast<size_t>(result));
    }
    listen();
  }

  /// What waits in the socket is older than what was lost: it must not come after the new answer.
  void discard() const {
    const int fd = ::mnl_socket_get_fd(state_->socket.get());
    std::array<char, 256> beginning;
    while (::recv(fd, beginning.data(), beginning.size(), MSG_DONTWAIT) > 0 || errno == ENOBUFS) {
    }
  }

  void show(size_t bytes) const {
    int left = static_cast<int>(bytes);
    const auto* message = reinterpret_cast<const nlmsghdr*>(state_->buffer.data());
    for (; ::mnl_nlmsg_ok(message, left); message = ::mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type >= NLMSG_MIN_TYPE) state_->each(*message);
    }
  }

  EventLoop& loop_;
  std::shared_ptr<State> state_;
  OperationId operation_ = 0;
};

}  // namespace

Result<std::unique_ptr<NetlinkSocket>> NetlinkSocket::open() {
  Result<SocketHandle> socket = open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  ::setsockopt(::mnl_socket_get_fd(socket->get()), SOL_SOCKET, SO_RCVTIMEO, &answer_timeout,
               sizeof answer_timeout);
  // Strict checking makes dumps honour the filters in their header.
  const int on = 1;
  ::setsockopt(::mnl_socket_get_fd(socket->get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
               sizeof on);
  return std::make_unique<RouteSocket>(std::move(*socket));
}

Result<std::unique_ptr<NetlinkMonitor>> NetlinkMonitor::open(EventLoop& loop,
                                                             std::span<const unsigned> groups,
                                                             NetlinkVisitor each,
                                                             std::function<void()> overflow) {
  Result<SocketHandle> socket = open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  const int fd = ::mnl_socket_get_fd(socket->get());
  for (unsigned group : groups) {
    if (::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
      return fail(fmt::format("cannot join rtnetlink group {}: {}", group, std::strerror(errno)));
    }
  }
  // Room for a burst of events; without the privilege the default has to do.
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &monitor_socket_bytes, sizeof monitor_socket_bytes);
  return std::make_unique<RouteMonitor>(loop, std::move(*socket), std::move(each),
                                        std::move(overflow));
}

uint8_t address_family(const IpAddress& address) {
  return address.family == Family::v4 ? AF_INET : AF_INET6;
}

bool read_address(const nlattr& attribute, uint8_t family, IpAddress& into) {
  const size_t bytes = ::mnl_attr_get_payload_len(&attribute);
  if (family == AF_INET && bytes == 4) {
    into = IpAddress::from_v4_raw(load<uint32_t>(::mnl_attr_get_payload(&attribute)));
    return true;
  }
  if (family == AF_INET6 && bytes == 16) {
    into = IpAddress::from_v6(load<std::array<uint8_t, 16>>(::mnl_attr_get_payload(&attribute)));
    return true;
  }
  return false;
}

}  // namespace sluice::ctrl
