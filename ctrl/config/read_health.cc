// [pool.health]: each type of check has keys of its own; a key of another type is a mistake.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "ctrl/config/draft.h"
#include "ctrl/config/expression.h"
#include "ctrl/config/text.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t probes_max = 100;
constexpr uint64_t interval_ms_min = 100, interval_ms_max = 3'600'000;
constexpr uint64_t timeout_ms_min = 10, timeout_ms_max = 60'000;
constexpr uint64_t hold_ms_min = 100, hold_ms_max = 3'600'000;
constexpr uint64_t passive_failures_max = 1'000'000;
constexpr size_t datagram_bytes_max = 1'200, http_text_bytes_max = 1'024, headers_max = 16;
constexpr uint64_t body_bytes_most = 1 << 20;

constexpr std::array udp_types = {HealthType::udp};
constexpr std::array http_types = {HealthType::http, HealthType::https};
constexpr std::array tls_types = {HealthType::https, HealthType::tls};

bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.contains(c);
  });
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Strings may hold any byte here: they are datagrams, not names.
std::optional<std::string> read_bytes(const Value& value) {
  if (value.node().kind != DocumentNode::Kind::string) {
    value.reject_found("a string");
  } else if (value.node().text.size() > datagram_bytes_max) {
    value.reject(fmt::format("must have at most {} bytes, got {}", datagram_bytes_max,
                             value.node().text.size()));
  } else {
    return value.node().text;
  }
  return std::nullopt;
}

std::optional<std::string> read_hex(const Value& value) {
  const auto digits = value.text(3 * datagram_bytes_max);
  if (!digits) return std::nullopt;
  std::string packed, bytes;
  std::ranges::copy_if(*digits, std::back_inserter(packed), [](char c) { return c != ' '; });
  for (size_t at = 0; at + 1 < packed.size() && packed.size() % 2 == 0; at += 2) {
    uint8_t byte = 0;
    const char* end = packed.data() + at + 2;
    if (std::from_chars(packed.data() + at, end, byte, 16).ptr != end) break;
    bytes.push_back(static_cast<char>(byte));
  }
  if (bytes.size() * 2 == packed.size() && bytes.size() <= datagram_bytes_max) return bytes;
  value.reject_found(
      fmt::format("pairs of hexadecimal digits for at most {} bytes, such as "
                  "\"0a ff\"",
                  datagram_bytes_max));
  return std::nullopt;
}

/// "200-299,301"
std::optional<std::vector<StatusRange>> read_status(const Value& value) {
  constexpr std::string_view expected =
      "codes 100..599 and ranges in rising order, such as \"200-299,301\"";
  const auto text = value.text(http_text_bytes_max);
  if (!text) return std::nullopt;
  std::vector<StatusRange> ranges;
  const char* at = text->data();
  const char* const end = at + text->size();
  const auto number = [&](uint16_t& code) {
    const auto [next, error] = std::from_chars(at, end, code);
    at = next;
    return error == std::errc{} && code >= 100 && code <= 599;
  };
  for (bool more = true; more;) {
    StatusRange range;
    bool good = number(range.first);
    range.last = range.first;
    if (good && at != end && *at == '-') good = number((++at, range.last));
    const bool rises = ranges.empty() || range.first > ranges.back().last;
    if (!good || range.last < range.first || !rises || (at != end && *at != ',')) {
      value.reject_found(expected);
      return std::nullopt;
    }
    ranges.push_back(range);
    more = at != end;
    if (more) ++at;
  }
  return ranges;
}

void check_expression(const Value& value, const std::string& text) {
  if (auto compiled = Expression::compile(text); !compiled) value.reject(compiled.error().message);
}

class HealthReader {
 public:
  HealthReader(TableReader& table, HealthConfig& health) : table_(table), health_(health) {}

  void read() {
    read_type();
    read_times();
    read_udp();
    read_http();
    read_tls();
    read_judgement();
    read_passive();
    table_.finish();
  }

 private:
  void read_type();
  void read_times();
  void read_udp();
  void read_http();
  void read_headers(const Value& value);
  void read_tls();
  void read_judgement();
  void read_passive();

  /// The key's value when the type is one of `types`; a mistake when it is another one.
  std::optional<Value> only_for(std::string_view key, std::span<const HealthType> types) {
    auto value = table_.optional(key);
    if (!value || !type_known_ || std::ranges::find(types, health_.type) != types.end()) {
      return value;
    }
    std::string names;
    for (const HealthType type : types) {
      names += fmt::format("{}{}", names.empty() ? "" : " and ", to_string(type));
    }
    value->reject(fmt::format("is for checks of type {}, this one is of type {}", names,
                              to_string(health_.type)));
    return std::nullopt;
  }
  std::optional<uint64_t> duration(std::string_view key, uint64_t min, uint64_t max) {
    const auto value = table_.optional(key);
    return value ? value->duration_ms(min, max) : std::nullopt;
  }

  TableReader& table_;
  HealthConfig& health_;
  bool type_known_ = false;
};

void HealthReader::read_type() {
  const auto type = table_.required("type");
  if (!type) return;
  static constexpr std::array supported = {"none"sv, "tcp"sv,   "udp"sv,
                                           "http"sv, "https"sv, "tls"sv};
  static constexpr std::array known = {"grpc"sv};
  if (const auto index = type->choice(supported, known)) {
    health_.type = static_cast<HealthType>(*index);
    type_known_ = true;
  }
}

void HealthReader::read_times() {
  health_.interval_ms =
      duration("interval", interval_ms_min, interval_ms_max).value_or(health_.interval_ms);
  const auto timeout = table_.optional("timeout");
  if (!timeout) {
    health_.timeout_ms = std::min(health_.timeout_ms, health_.interval_ms);
  } else if (const auto ms = timeout->duration_ms(timeout_ms_min, timeout_ms_max)) {
    health_.timeout_ms = *ms;
    if (health_.timeout_ms > health_.interval_ms) {
      timeout->reject(fmt::format("must not be longer than the interval of {} ms, got {} ms",
                                  health_.interval_ms, health_.timeout_ms));
    }
  }
  if (const auto rise = table_.optional("rise")) {
    health_.rise = rise->integer(1, probes_max).value_or(health_.rise);
  }
  if (const auto fall = table_.optional("fall")) {
    health_.fall = fall->integer(1, probes_max).value_or(health_.fall);
  }
  if (const auto port = table_.optional("port")) {
    health_.port = port->integer(1, 65'535).value_or(health_.port);
  }
}

void HealthReader::read_udp() {
  UdpCheck& udp = health_.udp;
  const auto read_pair = [&](std::string_view key, std::string_view hex_key, std::string& into) {
    std::pair<std::optional<Value>, std::optional<Value>> found = {only_for(key, udp_types),
                                                                   only_for(hex_key, udp_types)};
    const auto& [text, hex] = found;
    if (text) into = read_bytes(*text).value_or(into);
    if (hex && text) hex->reject(fmt::format("write `{}` or `{}`, not both", key, hex_key));
    if (hex) into = read_hex(*hex).value_or(into);
    return found;
  };
  const auto [sent, sent_hex] = read_pair("send", "send_hex", udp.send);
  const auto [expected, expected_hex] = read_pair("expect", "expect_hex", udp.expect);
  const auto match = only_for("match", udp_types);
  static constexpr std::array words = {"prefix"sv, "exact"sv, "regex"sv};
  if (match) {
    if (const auto index = match->choice(words)) udp.match = static_cast<BytesMatch>(*index);
    if (!expected && !expected_hex) match->reject("there is no `expect` to match");
  }
  if (udp.match == BytesMatch::regex && expected_hex) {
    expected_hex->reject("an expression is written as `expect`");
  } else if (udp.match == BytesMatch::regex && expected) {
    check_expression(*expected, udp.expect);
  }
  if (health_.type == HealthType::udp && table_.is_table() && !sent && !sent_hex) {
    table_.self().reject("a check of type udp needs `send` or `send_hex`");
  }
}

void HealthReader::read_http() {
  HttpCheck& http = health_.http;
  if (const auto method = only_for("method", http_types)) {
    http.method = method->text(32).value_or(http.method);
    if (!is_token(http.method)) method->reject_found("an HTTP method, such as \"GET\"");
    if (http.method == "CONNECT") method->reject("CONNECT has no answer that could be checked");
  }
  if (const auto path = only_for("path", http_types)) {
    http.path = path->text(http_text_bytes_max).value_or(http.path);
    if (!http.path.starts_with('/') || !is_visible(http.path)) {
      path->reject_found("a path that begins with \"/\", without spaces");
    }
  }
  if (const auto host = only_for("host", http_types)) {
    http.host = host->text(http_text_bytes_max).value_or(http.host);
    if (!is_visible(http.host)) host->reject_found("a host, such as \"orders.example\"");
  }
  if (const auto headers = only_for("headers", http_types)) read_headers(*headers);
  if (const auto status = only_for("status", http_types)) {
    http.status = read_status(*status).value_or(http.status);
  }
  const auto body = only_for("body", http_types);
  if (body) {
    if (auto text = body->text(expression_bytes_max)) {
      check_expression(*body, *text);
      http.body = std::move(*text);
      if (http.method == "HEAD") body->reject("an answer to HEAD has no body");
    }
  }
  if (const auto bytes = only_for("body_bytes_max", http_types)) {
    http.body_bytes_max = bytes->integer(1, body_bytes_most).value_or(http.body_bytes_max);
    if (!body) bytes->reject("there is no `body` to look for");
  }
}

void HealthReader::read_headers(const Value& value) {
  if (!value.is_table()) return value.reject_found("a table of names and values");
  if (value.node().entries.size() > headers_max) {
    return value.reject(fmt::format("at most {} headers", headers_max));
  }
  static constexpr std::array own = {"host"sv, "connection"sv, "content-length"sv,
                                     "transfer-encoding"sv};
  for (const Entry& entry : value.node().entries) {
    const Value item(entry.value, fmt::format("{}.{}", value.key(), printable(entry.key)),
                     value.mistakes());
    const auto text = item.text(http_text_bytes_max);
    std::string lower = entry.key;
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    if (!is_token(entry.key)) {
      item.reject(fmt::format("{} is not a header name", in_quotes(entry.key)));
    } else if (std::ranges::find(own, lower) != own.end()) {
      item.reject(lower == "host" ? "is written as `host`" : "is set by the check itself");
    } else if (text) {
      health_.http.headers.emplace_back(entry.key, *text);
    }
  }
}

void HealthReader::read_tls() {
  TlsCheck& tls = health_.tls;
  if (const auto sni = only_for("sni", tls_types)) {
    tls.sni = sni->text(253).value_or(tls.sni);
    if (!is_visible(tls.sni)) sni->reject_found("a host name");
  }
  const auto verify = only_for("verify", tls_types);
  if (verify) {
    if (verify->node().kind == DocumentNode::Kind::boolean) {
      tls.verify = verify->node().boolean;
    } else {
      verify->reject_found("true or false");
    }
    if (tls.verify && tls.sni.empty()) {
      verify->reject("needs `sni`, the name that the certificate must have");
    }
  }
  if (const auto ca = only_for("ca_file", tls_types)) {
    tls.ca_file = ca->text(4'095).value_or(tls.ca_file);
    if (!tls.ca_file.starts_with('/')) ca->reject_found("an absolute path");
    if (!tls.verify) ca->reject("is used only with `verify = true`");
  }
}

void HealthReader::read_judgement() {
  const auto hold = table_.optional("flap_hold");
  if (hold) health_.flap_hold_ms = hold->duration_ms(hold_ms_min, hold_ms_max).value_or(0);
  if (const auto most = table_.optional("flap_hold_max")) {
    health_.flap_hold_ms_max =
        most->duration_ms(hold_ms_min, hold_ms_max).value_or(health_.flap_hold_ms_max);
    if (!hold) most->reject("needs `flap_hold`, the first hold");
    if (health_.flap_hold_ms_max < health_.flap_hold_ms) {
      most->reject(fmt::format("must not be shorter than `flap_hold` of {} ms, got {} ms",
                               health_.flap_hold_ms, health_.flap_hold_ms_max));
    }
  }
  health_.flap_hold_ms_max = std::max(health_.flap_hold_ms_max, health_.flap_hold_ms);
  if (const auto window = table_.optional("flap_window")) {
    health_.flap_window_ms =
        window->duration_ms(hold_ms_min, hold_ms_max).value_or(health_.flap_window_ms);
    if (!hold) window->reject("needs `flap_hold`");
  }
  health_.slow_start_ms = duration("slow_start", 1'000, hold_ms_max).value_or(0);
}

void HealthReader::read_passive() {
  const auto value = table_.optional("passive");
  if (!value) return;
  if (type_known_ && health_.type == HealthType::none) {
    value->reject("needs probes: nothing else would bring a backend back");
  }
  TableReader table(*value);
  PassiveConfig& passive = health_.passive;
  if (const auto failures = table.required("failures")) {
    passive.failures = failures->integer(1, passive_failures_max).value_or(0);
  }
  if (const auto window = table.optional("window")) {
    passive.window_ms = window->duration_ms(1'000, hold_ms_max).value_or(passive.window_ms);
  }
  if (const auto eject = table.optional("eject")) {
    if (eject->node().kind != DocumentNode::Kind::boolean) {
      eject->reject_found("true or false");
    } else {
      passive.eject = eject->node().boolean;
    }
  }
  table.finish();
}

}  // namespace

void read_health(const Value& value, HealthConfig& health) {
  TableReader table(value);
  HealthReader(table, health).read();
}

}  // namespace sluice::ctrl
