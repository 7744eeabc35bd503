// Probe: one check of one backend, under way: a socket of the kernel, so that it takes the path
// that the node's own traffic takes (TAP, port, route). Nothing in it blocks; what it reads is
// bounded by its buffer and its parsers. TCP connections end with RST, so that no TIME_WAIT piles
// up. Loop thread only.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ctrl/health/check.h"
#include "ctrl/health/http_response.h"
#include "ctrl/health/judge.h"
#include "ctrl/health/tls_session.h"
#include "ctrl/runtime/event_loop.h"
#include "dataplane/base/address.h"

namespace sluice::ctrl {

class Probe : public std::enable_shared_from_this<Probe> {
 public:
  using Done = std::function<void(ProbeResult result)>;

  /// `done` is called once, never from inside this, unless the probe is abandoned before. Null and
  /// errno when there is no socket for it. The loop outlives the probe.
  static std::shared_ptr<Probe> start(EventLoop& loop, std::shared_ptr<const Check> check,
                                      const Endpoint& backend, Done done);
  ~Probe() { close(); }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  /// Its time is over: calls `done` with what it was still waiting for.
  void time_out();
  /// Nobody wants to know any more.
  void abandon();

 private:
  Probe(EventLoop& loop, std::shared_ptr<const Check> check, const Endpoint& backend, Done done)
      : loop_(loop), check_(std::move(check)), backend_(backend), done_(std::move(done)) {}

  void connect();
  void connected(int result);
  void send();
  void sent(int result);
  void receive();
  void received(int result);
  void received_tls(std::string_view bytes);
  void received_http(std::string_view bytes);
  bool judge_http();
  void succeed(std::string text);
  void fail(std::string text);
  void finish(bool ok, std::string text);
  void close();

  EventLoop& loop_;
  std::shared_ptr<const Check> check_;
  Endpoint backend_;
  Done done_;
  uint64_t started_ns_ = 0;
  int fd_ = -1;
  OperationId operation_ = 0;
  std::string out_;  // what is being sent
  size_t out_sent_ = 0;
  std::string waiting_for_ = "connect: no answer";
  // Only of checks that read.
  std::unique_ptr<std::array<std::byte, 4096>> buffer_;
  std::optional<HttpResponse> response_;
  std::optional<ExpressionSearch> search_;
  std::optional<TlsSession> tls_;
  bool requested_ = false;
};

}  // namespace sluice::ctrl
