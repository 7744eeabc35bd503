// HealthConfig: how the backends of a pool are checked, and how what the checks say is judged.
// A value: no threads, no I/O.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sluice::ctrl {

enum class HealthType : uint8_t { none, tcp, udp, http, https, tls };
/// "tcp", as the configuration writes it.
std::string_view to_string(HealthType type);

/// How an answer is compared with what is expected.
enum class BytesMatch : uint8_t { prefix, exact, regex };
std::string_view to_string(BytesMatch match);

/// A datagram and its answer. Nothing expected: any answer will do.
struct UdpCheck {
  std::string send;    // bytes; may be empty: an empty datagram
  std::string expect;  // bytes, or an expression
  BytesMatch match = BytesMatch::prefix;
  auto operator<=>(const UdpCheck&) const = default;
};

struct StatusRange {
  uint16_t first = 200;
  uint16_t last = 299;
  auto operator<=>(const StatusRange&) const = default;
};

struct HttpCheck {
  std::string method = "GET";
  std::string path = "/";
  std::string host;  // empty: the backend's address and port
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<StatusRange> status = {{}};
  std::string body;  // an expression that must be found; empty: the body is not looked at
  uint32_t body_bytes_max = 65'536;
  auto operator<=>(const HttpCheck&) const = default;
};

struct TlsCheck {
  std::string sni;
  bool verify = false;  // chain and name; `sni` is the name
  std::string ca_file;  // empty: the system's authorities
  auto operator<=>(const TlsCheck&) const = default;
};

/// Signals of the data plane: handshakes with a backend that were not answered, or refused.
struct PassiveConfig {
  uint32_t failures = 0;  // within the window; 0: not watched
  uint32_t window_ms = 10'000;
  bool eject = false;  // down at once, instead of being probed at once
  auto operator<=>(const PassiveConfig&) const = default;
};

struct HealthConfig {
  HealthType type = HealthType::none;
  uint32_t interval_ms = 1000;
  uint32_t timeout_ms = 500;
  uint32_t rise = 2;
  uint32_t fall = 3;
  uint16_t port = 0;  // 0: the backend's own
  UdpCheck udp = {};
  HttpCheck http = {};  // also of https
  TlsCheck tls = {};    // also of https

  uint32_t flap_hold_ms = 0;  // of the second fall within the window; doubles; 0: never held
  uint32_t flap_hold_ms_max = 300'000;
  uint32_t flap_window_ms = 60'000;  // up for so long: forgiven
  uint32_t slow_start_ms = 0;        // 0: full weight at once
  PassiveConfig passive = {};
  auto operator<=>(const HealthConfig&) const = default;
};

/// What goes over the wire, and which answers are right: probes of the same endpoint for which
/// this is equal are one. Intervals and judgement are left at their defaults.
HealthConfig wire_part(const HealthConfig& health);

/// "http GET / every 1s (timeout 500ms, rise 2, fall 3)"
std::string describe(const HealthConfig& health);

/// Whether a pool of which too few backends are well is served by all of them, or by none.
enum class PanicPolicy : uint8_t { none, spread, fail };
std::string_view to_string(PanicPolicy policy);

}  // namespace sluice::ctrl
