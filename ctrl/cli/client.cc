#include "ctrl/cli/client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::cli {
namespace {

constexpr size_t chunk_bytes = 65'536;

std::string why_unreachable(const std::string& path, int error) {
  if (error == ENOENT || error == ECONNREFUSED) {
    return fmt::format(
        "{}: no sluiced answers there; start it, or name its socket with --socket or SLUICE_SOCKET",
        path);
  }
  if (error == EACCES || error == EPERM) {
    return fmt::format("{}: you may not use this socket; run as root or as a member of its group",
                       path);
  }
  return fmt::format("{}: {}", path, std::strerror(error));
}

}  // namespace

Result<Client> Client::connect(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.empty() || socket_path.size() >= sizeof(address.sun_path)) {
    return fail(fmt::format("socket path must have 1..{} characters: \"{}\"",
                            sizeof(address.sun_path) - 1, socket_path));
  }
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(fmt::format("socket: {}", std::strerror(errno)));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    ::close(fd);
    return fail(why_unreachable(socket_path, error));
  }
  return Client(fd, socket_path);
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      pending_(std::move(other.pending_)),
      next_id_(other.next_id_) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

Status Client::send_line(const std::string& line) {
  size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = ::send(fd_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(fmt::format("{}: sluiced closed the connection", path_));
    sent += static_cast<size_t>(n);
  }
  return {};
}

Result<std::string> Client::read_line() {
  size_t searched = 0;
  for (;;) {
    const size_t end = pending_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    searched = pending_.size();
    pending_.resize(searched + chunk_bytes);
    ssize_t n = 0;
    do {
      n = ::recv(fd_, pending_.data() + searched, chunk_bytes, 0);
    } while (n < 0 && errno == EINTR);
    const int error = errno;
    pending_.resize(searched + static_cast<size_t>(n > 0 ? n : 0));
    if (n == 0) return fail(fmt::format("{}: sluiced closed the connection", path_));
    if (n < 0 && (error == EAGAIN || error == EWOULDBLOCK)) {
      return fail(fmt::format("{}: sluiced did not answer in time", path_));
    }
    if (n < 0) return fail(fmt::format("{}: {}", path_, std::strerror(error)));
  }
}

std::expected<json, CallError> Client::call(const std::string& method, json params,
                                            std::chrono::milliseconds timeout) {
  timeval limit{.tv_sec = timeout.count() / 1000, .tv_usec = (timeout.count() % 1000) * 1000};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const int id = next_id_++;
  const json request = {
      {"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
  if (auto sent = send_line(request.dump() + "\n"); !sent) {
    return std::unexpected(CallError{0, sent.error().message, {}});
  }
  for (;;) {
    auto line = read_line();
    if (!line) return std::unexpected(CallError{0, line.error().message, {}});
    const json answer = json::parse(*line, nullptr, false);
    if (answer.is_discarded() || !answer.is_object()) {
      return std::unexpected(CallError{0, fmt::format("{}: not JSON-RPC: {}", path_, *line), {}});
    }
    if (answer.value("id", json()) != json(id) && !answer.contains("error")) continue;
    if (const auto error = answer.find("error"); error != answer.end()) {
      return std::unexpected(CallError{error->value("code", 1), error->value("message", "refused"),
                                       error->value("data", json())});
    }
    return answer.value("result", json());
  }
}

Result<json> Client::next_event() {
  timeval forever{};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
  for (;;) {
    auto line = read_line();
    if (!line) return std::unexpected(line.error());
    const json message = json::parse(*line, nullptr, false);
    if (!message.is_discarded() && message.value("method", "") == "event") {
      return message.value("params", json());
    }
  }
}

}  // namespace sluice::cli
