#include "ctrl/config/health_config.h"

#include <fmt/format.h>

#include <array>

#include "ctrl/config/duration.h"
#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

std::string describe_http(const HealthConfig& health) {
  const HttpCheck& http = health.http;
  std::string text = fmt::format("{} {} {}", to_string(health.type), http.method, http.path);
  if (!http.host.empty()) text += fmt::format(" host {}", http.host);
  if (!http.headers.empty()) text += fmt::format(" with {} headers", http.headers.size());
  if (http.status != HttpCheck{}.status) {
    text += " status ";
    for (const StatusRange& range : http.status) {
      if (&range != &http.status.front()) text += ",";
      text += fmt::format("{}", range.first);
      if (range.last != range.first) text += fmt::format("-{}", range.last);
    }
  }
  if (!http.body.empty()) text += fmt::format(" body {}", in_quotes(http.body));
  return text;
}

std::string describe_udp(const UdpCheck& udp) {
  std::string text = fmt::format("udp {} bytes", udp.send.size());
  if (udp.expect.empty()) return text;
  return text + fmt::format(", answer {} {}", to_string(udp.match), in_quotes(udp.expect));
}

std::string describe_wire(const HealthConfig& health) {
  std::string text(to_string(health.type));
  if (health.type == HealthType::udp) text = describe_udp(health.udp);
  if (health.type == HealthType::http || health.type == HealthType::https) {
    text = describe_http(health);
  }
  if (health.port != 0) text += fmt::format(" port {}", health.port);
  if (!health.tls.sni.empty()) text += fmt::format(" sni {}", health.tls.sni);
  if (health.tls.verify) {
    text += " verified by " + (health.tls.ca_file.empty() ? "the system" : health.tls.ca_file);
  }
  return text;
}

}  // namespace

std::string_view to_string(HealthType type) {
  static constexpr std::array<std::string_view, 6> names = {"none", "tcp",   "udp",
                                                            "http", "https", "tls"};
  return names[static_cast<size_t>(type)];
}

std::string_view to_string(BytesMatch match) {
  static constexpr std::array<std::string_view, 3> names = {"prefix", "exact", "regex"};
  return names[static_cast<size_t>(match)];
}

std::string_view to_string(PanicPolicy policy) {
  static constexpr std::array<std::string_view, 3> names = {"none", "spread", "fail"};
  return names[static_cast<size_t>(policy)];
}

HealthConfig wire_part(const HealthConfig& health) {
  HealthConfig wire;
  wire.type = health.type;
  wire.timeout_ms = health.timeout_ms;
  wire.port = health.port;
  wire.udp = health.udp;
  wire.http = health.http;
  wire.tls = health.tls;
  return wire;
}

std::string describe(const HealthConfig& health) {
  if (health.type == HealthType::none) return "none";
  std::string text = fmt::format("{} every {} (timeout {}, rise {}, fall {}", describe_wire(health),
                                 format_duration_ms(health.interval_ms),
                                 format_duration_ms(health.timeout_ms), health.rise, health.fall);
  if (health.flap_hold_ms > 0) {
    text += fmt::format(", flap hold {}..{} within {}", format_duration_ms(health.flap_hold_ms),
                        format_duration_ms(health.flap_hold_ms_max),
                        format_duration_ms(health.flap_window_ms));
  }
  if (health.slow_start_ms > 0) {
    text += fmt::format(", slow start {}", format_duration_ms(health.slow_start_ms));
  }
  if (health.passive.failures > 0) {
    text += fmt::format(", passive {} failures in {}{}", health.passive.failures,
                        format_duration_ms(health.passive.window_ms),
                        health.passive.eject ? " eject" : "");
  }
  return text + ")";
}

}  // namespace sluice::ctrl
