#include "ctrl/control/rpc_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "ctrl/control/peer.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

using namespace std::chrono_literals;

Result<std::unique_ptr<RpcServer>> RpcServer::listen(EventLoop& loop, EventHub& events,
                                                     const std::string& path, RpcHandler handler,
                                                     RpcLimits limits) {
  auto fd = listen_unix(path);
  if (!fd) return std::unexpected(fd.error());
  auto shared = std::make_shared<RpcShared>(loop, events, std::move(handler), limits, 0, nullptr);
  std::unique_ptr<RpcServer> server(new RpcServer(std::move(shared), path, std::move(*fd)));
  server->accept_next();
  return server;
}

RpcServer::RpcServer(std::shared_ptr<RpcShared> shared, std::string path, UniqueFd fd)
    : shared_(std::move(shared)), path_(std::move(path)), fd_(std::move(fd)) {
  shared_->closed = [this](uint64_t id) { connections_.erase(id); };
}

RpcServer::~RpcServer() {
  shared_->closed = nullptr;
  shared_->loop.cancel(accepting_);
  for (const auto& [id, connection] : connections_) connection->close();
  ::shutdown(fd_.get(), SHUT_RDWR);
  ::unlink(path_.c_str());
}

void RpcServer::accept_next() {
  accepting_ = shared_->loop.accept(fd_.get(), [this](int result) { accepted(result); });
}

void RpcServer::accepted(int fd) {
  if (fd < 0) {
    // Out of descriptors or memory: the clients that are there go on, new ones wait in the backlog.
    log_warn("control", "cannot accept a control connection", {{"errno", -fd}});
    accepting_ = shared_->loop.after(100ms, [this](int) { accept_next(); });
    return;
  }
  UniqueFd owned(fd);
  if (connections_.size() >= shared_->limits.clients_max) {
    refuse(std::move(owned));
  } else {
    const uint64_t id = next_id_++;
    auto connection = std::make_shared<RpcConnection>(shared_, id, std::move(owned));
    connections_.emplace(id, connection);
    connection->start();
  }
  accept_next();
}

void RpcServer::refuse(UniqueFd fd) const {
  const std::string line =
      answer_line(nullptr, std::unexpected(RpcError{
                               rpc_busy,
                               fmt::format("sluiced already has {} control connections; close one",
                                           shared_->limits.clients_max),
                               nullptr})) +
      "\n";
  // A fresh socket's buffer takes one line; whoever does not read it learns from the end.
  [[maybe_unused]] const auto ignored =
      ::send(fd.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace sluice::ctrl
