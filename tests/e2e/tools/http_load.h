// HttpLoad: many HTTP/1.1 clients on one epoll loop. Two kinds at once: one request per
// connection, and connections kept alive. Every connection leaves a record: from where, who
// answered, when it started and ended, and how.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/tools/http_response.h"
#include "tests/e2e/tools/sockets.h"

namespace sluice::e2e {

struct HttpLoadOptions {
  SocketAddress to;
  std::string path = "/";
  std::vector<std::string> from;  // source addresses, used in turn
  uint16_t first_port = 0;        // 0: the kernel chooses; else counted up, once per connection
  uint64_t count = 0;             // one-request connections in all; 0: until `seconds` are over
  unsigned parallel = 0;          // one-request connections at a time
  unsigned kept = 0;              // connections kept alive
  uint64_t pause_ns = 0;          // between requests of one slot
  uint64_t patience_ns = 0;       // a request that takes longer has failed
  double seconds = 0;             // 0: until `count` is reached
  bool keep_records = true;       // a load without end must not keep every connection in memory
  uint64_t progress_ns = 0;       // print a line of JSON this often; 0: never
};

enum class Outcome : uint8_t { ok, refused, reset, timeout, closed, bad_answer };
std::string_view outcome_name(Outcome outcome);

struct ConnectionRecord {
  bool kept = false;
  std::string address;
  uint16_t port = 0;
  std::string stack = "-", backend = "-";  // who answered first
  uint64_t start_ns = 0, end_ns = 0;       // CLOCK_MONOTONIC: connect() called, last answer
  uint64_t requests = 0;                   // answered
  Outcome outcome = Outcome::ok;
};

/// Answers and failures, in all or since the last line of progress.
struct HttpTotals {
  uint64_t requests = 0, failed = 0, resets = 0, connections = 0, slow = 0, mixed = 0;
  std::map<std::string, uint64_t> stacks, backends;
};

class HttpLoad {
 public:
  explicit HttpLoad(HttpLoadOptions options);
  ~HttpLoad();
  /// Blocks until the work is done or SIGTERM or SIGINT came (then it ends what is open).
  void run();

  const HttpTotals& totals() const { return totals_; }
  const std::vector<ConnectionRecord>& records() const { return records_; }

 private:
  struct Slot;

  void start(Slot& slot);
  void connected(Slot& slot);
  void send_request(Slot& slot);
  void readable(Slot& slot);
  void answered(Slot& slot);
  void end(Slot& slot, Outcome outcome);
  void tick(uint64_t now);
  bool finishing() const;
  void print_progress(uint64_t now);

  HttpLoadOptions options_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<ConnectionRecord> records_;
  HttpTotals totals_, since_progress_;
  int epoll_ = -1;
  uint64_t begin_ns_ = 0, progress_at_ns_ = 0;
  uint64_t started_ = 0;  // one-request connections
  size_t open_ = 0;
};

}  // namespace sluice::e2e
