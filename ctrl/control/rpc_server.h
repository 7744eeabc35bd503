// RpcServer: the control socket. Accepts clients, hands their requests to one handler, and keeps
// them from harming each other (rpc_connection.h). ctrl thread only.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "ctrl/control/rpc_connection.h"

namespace sluice::ctrl {

class RpcServer {
 public:
  static Result<std::unique_ptr<RpcServer>> listen(EventLoop& loop, EventHub& events,
                                                   const std::string& path, RpcHandler handler,
                                                   RpcLimits limits = {});
  /// Closes every connection and removes the socket file.
  ~RpcServer();

  size_t clients() const { return connections_.size(); }

 private:
  RpcServer(std::shared_ptr<RpcShared> shared, std::string path, UniqueFd fd);
  void accept_next();
  void accepted(int fd);
  void refuse(UniqueFd fd) const;

  std::shared_ptr<RpcShared> shared_;
  std::string path_;
  UniqueFd fd_;
  std::unordered_map<uint64_t, std::shared_ptr<RpcConnection>> connections_;
  uint64_t next_id_ = 1;
  OperationId accepting_ = 0;
};

}  // namespace sluice::ctrl
