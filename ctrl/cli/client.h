// Client: one blocking connection to sluiced's control socket (JSON-RPC 2.0, one object a line).
// Single thread.
#pragma once

#include <chrono>
#include <expected>
#include <nlohmann/json.hpp>
#include <string>

#include "dataplane/base/result.h"

namespace sluice::cli {

using nlohmann::json;

/// What sluiced answered instead of a result. `code` is 0 when the connection itself failed.
struct CallError {
  int code = 0;
  std::string message;
  json data;
};

class Client {
 public:
  /// The error names the socket and says whether sluiced runs and may be talked to.
  static Result<Client> connect(const std::string& socket_path);
  Client(Client&& other) noexcept;
  Client& operator=(Client&&) = delete;
  ~Client();

  /// Sends a request and waits for its answer, at most `timeout`. Events in between are skipped.
  std::expected<json, CallError> call(const std::string& method, json params,
                                      std::chrono::milliseconds timeout);
  /// The next `watch` event's params; blocks for ever.
  Result<json> next_event();

 private:
  Client(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Status send_line(const std::string& line);
  Result<std::string> read_line();

  int fd_ = -1;
  std::string path_;
  std::string pending_;
  int next_id_ = 1;
};

}  // namespace sluice::cli
