#include "ctrl/health/check.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

namespace sluice::ctrl {
namespace {

std::string openssl_reason() {
  const unsigned long error = ::ERR_get_error();
  ::ERR_clear_error();
  const char* reason = ::ERR_reason_error_string(error);
  return reason == nullptr ? "unknown" : reason;
}

}  // namespace

std::shared_ptr<const Check> Check::make(const HealthConfig& health) {
  std::shared_ptr<Check> check(new Check(health));
  check->make_expression();
  if (check->uses_tls()) check->make_tls();
  return check;
}

Check::~Check() { ::SSL_CTX_free(tls_); }

void Check::make_expression() {
  const bool of_datagram =
      config_.type == HealthType::udp && config_.udp.match == BytesMatch::regex;
  const std::string& text = of_datagram ? config_.udp.expect : config_.http.body;
  if (text.empty() || (!of_datagram && !is_http())) return;
  auto compiled = Expression::compile(text);
  if (compiled) {
    expression_ = std::move(*compiled);
  } else {
    problem_ = compiled.error().message;
  }
}

void Check::make_tls() {
  ::ERR_clear_error();
  tls_ = ::SSL_CTX_new(::TLS_client_method());
  if (tls_ == nullptr) {
    problem_ = "no TLS: " + openssl_reason();
    return;
  }
  // A check does not answer questions about old servers: whatever OpenSSL's defaults allow.
  ::SSL_CTX_set_mode(tls_, SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_session_cache_mode(tls_, SSL_SESS_CACHE_OFF);
  if (!config_.tls.verify) return;
  ::SSL_CTX_set_verify(tls_, SSL_VERIFY_PEER, nullptr);
  const std::string& file = config_.tls.ca_file;
  const int loaded = file.empty() ? ::SSL_CTX_set_default_verify_paths(tls_)
                                  : ::SSL_CTX_load_verify_file(tls_, file.c_str());
  if (loaded == 1) return;
  problem_ = fmt::format("ca_file {}: {}", file, openssl_reason());
}

std::string Check::request(const Endpoint& backend) const {
  const HttpCheck& http = config_.http;
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", http.method,
                                 http.path, http.host.empty() ? to_string(backend) : http.host);
  bool agent = false;
  for (const auto& [name, value] : http.headers) {
    text += fmt::format("{}: {}\r\n", name, value);
    agent = agent || (name.size() == 10 && (name[0] == 'U' || name[0] == 'u') && name[4] == '-');
  }
  if (!agent) text += "User-Agent: sluice-health\r\n";
  return text + "\r\n";
}

bool Check::accepts_status(int status) const {
  return std::ranges::any_of(config_.http.status, [&](const StatusRange& range) {
    return status >= range.first && status <= range.last;
  });
}

bool Check::accepts_datagram(std::string_view datagram) const {
  const UdpCheck& udp = config_.udp;
  switch (udp.match) {
    case BytesMatch::prefix:
      return datagram.starts_with(udp.expect);
    case BytesMatch::exact:
      return datagram == udp.expect;
    case BytesMatch::regex:
      break;
  }
  if (!expression_) return false;
  ExpressionSearch search(expression_);
  return search.feed(datagram) || search.finish();
}

std::string file_problem(const HealthConfig& health) {
  const bool tls = health.type == HealthType::tls || health.type == HealthType::https;
  if (!tls || health.tls.ca_file.empty()) return {};
  return Check::make(health)->problem();
}

}  // namespace sluice::ctrl
