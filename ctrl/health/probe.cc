#include "ctrl/health/probe.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& storage) {
  storage = {};
  if (endpoint.address.family == Family::v4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = endpoint.address.v4_raw();
    std::memcpy(&storage, &address, sizeof address);
    return sizeof address;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  std::memcpy(&address.sin6_addr, endpoint.address.bytes.data(), sizeof address.sin6_addr);
  std::memcpy(&storage, &address, sizeof address);
  return sizeof address;
}

/// -1 and errno when there is none. close() of a TCP one sends RST.
int open_socket(Family family, bool datagrams) {
  const int domain = family == Family::v4 ? AF_INET : AF_INET6;
  if (datagrams) return ::socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
  const int fd = ::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (fd >= 0) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return fd;
}

std::string status_ranges(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    text += text.empty() ? "" : ",";
    text += std::to_string(range.first);
    if (range.last != range.first) text += "-" + std::to_string(range.last);
  }
  return text;
}

}  // namespace

std::shared_ptr<Probe> Probe::start(EventLoop& loop, std::shared_ptr<const Check> check,
                                    const Endpoint& backend, Done done) {
  const bool datagrams = check->config().type == HealthType::udp;
  const int fd = open_socket(backend.address.family, datagrams);
  if (fd < 0) return nullptr;
  std::shared_ptr<Probe> probe(new Probe(loop, std::move(check), backend, std::move(done)));
  probe->fd_ = fd;
  probe->started_ns_ = monotonic_ns();
  probe->connect();
  return probe;
}

void Probe::connect() {
  if (!check_->problem().empty()) {
    // Told from the loop, as every other result is.
    operation_ = loop_.after(std::chrono::nanoseconds(0), [self = shared_from_this()](int) {
      self->fail(self->check_->problem());
    });
    return;
  }
  Endpoint to = backend_;
  if (check_->config().port != 0) to.port = check_->config().port;
  sockaddr_storage address;
  const socklen_t bytes = to_sockaddr(to, address);
  operation_ = loop_.connect(fd_, address, bytes,
                             [self = shared_from_this()](int result) { self->connected(result); });
}

void Probe::connected(int result) {
  operation_ = 0;
  if (result < 0) return fail(fmt::format("connect: {}", std::strerror(-result)));
  const HealthConfig& config = check_->config();
  if (config.type == HealthType::tcp) return succeed("connected");
  buffer_ = std::make_unique<std::array<std::byte, 4096>>();
  if (config.type == HealthType::udp) {
    out_ = config.udp.send;
    waiting_for_ = "udp: no answer";
    return send();
  }
  if (check_->is_http()) {
    response_.emplace(config.http.method == "HEAD", config.http.body_bytes_max);
    if (check_->expression()) search_.emplace(check_->expression());
    waiting_for_ = "HTTP: no answer";
  }
  if (check_->uses_tls()) {
    tls_.emplace(*check_);
    if (tls_->state() == TlsSession::State::failed) return fail("TLS: " + tls_->error());
    out_ = tls_->take_output();
    waiting_for_ = "TLS: handshake not complete";
  } else {
    out_ = check_->request(backend_);
  }
  send();
}

void Probe::send() {
  const auto rest = std::as_bytes(std::span(out_)).subspan(out_sent_);
  operation_ =
      loop_.write(fd_, rest, [self = shared_from_this()](int result) { self->sent(result); });
}

void Probe::sent(int result) {
  operation_ = 0;
  if (result < 0) return fail(fmt::format("send: {}", std::strerror(-result)));
  out_sent_ += static_cast<size_t>(result);
  if (result > 0 && out_sent_ < out_.size()) return send();
  receive();
}

void Probe::receive() {
  operation_ = loop_.read(fd_, *buffer_,
                          [self = shared_from_this()](int result) { self->received(result); });
}

void Probe::received(int result) {
  operation_ = 0;
  const HealthType type = check_->config().type;
  if (result < 0) {
    // On a UDP socket these are ICMP errors.
    const char* what = type == HealthType::udp ? "udp" : "receive";
    return fail(fmt::format("{}: {}", what, std::strerror(-result)));
  }
  const std::string_view bytes(reinterpret_cast<const char*>(buffer_->data()),
                               static_cast<size_t>(result));
  if (type == HealthType::udp) {
    if (check_->accepts_datagram(bytes)) return succeed("answered");
    return fail(fmt::format("udp: unexpected answer {}", in_quotes(bytes.substr(0, 40))));
  }
  if (tls_) return received_tls(bytes);
  received_http(bytes);
}

void Probe::received_tls(std::string_view bytes) {
  const bool was_open = tls_->state() != TlsSession::State::handshake;
  if (bytes.empty() && !was_open) return fail("TLS: closed within the handshake");
  const TlsSession::State state = bytes.empty() ? TlsSession::State::closed : tls_->feed(bytes);
  const std::string plain = tls_->take_plain();
  const bool open = tls_->state() != TlsSession::State::handshake;
  if (state == TlsSession::State::failed && (plain.empty() || !response_)) {
    return fail("TLS: " + tls_->error());
  }
  if (open && !requested_) {
    if (!response_) return succeed(tls_->version());
    requested_ = true;
    waiting_for_ = "HTTP: no answer";
    tls_->send(check_->request(backend_));
  }
  if (response_) {
    if (!plain.empty())
      response_->feed(plain, [this](std::string_view piece) {
        if (search_) search_->feed(piece);
      });
    if (state == TlsSession::State::closed) response_->end();
    if (judge_http()) return;
  }
  out_ = tls_->take_output();
  out_sent_ = 0;
  if (out_.empty()) return receive();
  send();
}

void Probe::received_http(std::string_view bytes) {
  if (bytes.empty()) {
    response_->end();
  } else {
    response_->feed(bytes, [this](std::string_view piece) {
      if (search_) search_->feed(piece);
    });
  }
  if (!judge_http()) receive();
}

/// True when the probe has ended.
bool Probe::judge_http() {
  const HttpResponse::State state = response_->state();
  if (state == HttpResponse::State::failed) return fail("HTTP: " + response_->error()), true;
  if (state == HttpResponse::State::head) return false;
  const int status = response_->status();
  if (!check_->accepts_status(status)) {
    const auto wanted = status_ranges(check_->config().http.status);
    return fail(fmt::format("HTTP {}, wanted {}", status, wanted)), true;
  }
  if (!search_) return succeed(fmt::format("HTTP {}", status)), true;
  if (search_->found() ||
      (state == HttpResponse::State::done && !response_->is_cut() && search_->finish())) {
    return succeed(fmt::format("HTTP {}, body as wanted", status)), true;
  }
  if (state == HttpResponse::State::done) {
    fail(fmt::format("HTTP {}, {} not in {} of the body", status,
                     in_quotes(check_->config().http.body),
                     response_->is_cut()
                         ? fmt::format("the first {} bytes", check_->config().http.body_bytes_max)
                         : "the whole"));
    return true;
  }
  waiting_for_ = fmt::format("HTTP {}, body not complete", status);
  return false;
}

void Probe::succeed(std::string text) { finish(true, std::move(text)); }
void Probe::fail(std::string text) { finish(false, std::move(text)); }

void Probe::time_out() {
  finish(false, fmt::format("{} within {} ms", waiting_for_, check_->config().timeout_ms));
}

void Probe::abandon() {
  done_ = nullptr;
  close();
}

void Probe::finish(bool ok, std::string text) {
  if (!done_) return;
  ProbeResult result{.ok = ok,
                     .latency_us = static_cast<uint32_t>((monotonic_ns() - started_ns_) / 1'000),
                     .certificate_expires_s = tls_ ? tls_->certificate_expires_s() : 0,
                     .text = std::move(text)};
  if (ok && result.certificate_expires_s != 0 && result.certificate_expires_s <= ::time(nullptr)) {
    result.text += ", but the certificate has expired";
  }
  close();
  std::exchange(done_, nullptr)(std::move(result));
}

void Probe::close() {
  if (operation_ != 0) loop_.cancel(std::exchange(operation_, 0));
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace sluice::ctrl
