#include "perf/conversation.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/base/byte_order.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"
#include "dataplane/wire/parse.h"
#include "perf/flow_templates.h"

namespace sluice::perf {
namespace {

namespace ethernet = wire::ethernet;
namespace ipv4 = wire::ipv4;
namespace ipv6 = wire::ipv6;
namespace tcp = wire::tcp;
namespace udp = wire::udp;

using Mac = std::array<uint8_t, 6>;

constexpr size_t ip_at = wire::ethernet_header_bytes;
constexpr uint16_t frame_bytes_min = 64;
constexpr uint16_t data_bytes = 10;
constexpr uint32_t magic = 0x51'1c'e0'5b;
constexpr uint16_t backend_port = 8080;
constexpr Mac front_mac = {0x02, 0, 0, 0, 0, 0x01};
constexpr Mac client_mac = {0x02, 0, 0, 0, 0, 0x02};
constexpr Mac backend_mac = {0x02, 0, 0, 0, 0, 0x12};
constexpr std::array<uint8_t, 16> virtual_v6 = {0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
constexpr uint32_t virtual_v4 = 0x0a00'0064;

/// RFC 9293 §3.5, §3.6: each side counts its SYN, its data and its FIN. What is sent and what is
/// acknowledged, relative to the initial sequence numbers.
struct StepTraits {
  uint8_t flags;
  uint16_t payload;
  uint32_t sent;
  uint32_t acknowledged;
};
constexpr std::array<StepTraits, step_count> traits = {{
    {wire::tcp_syn, 0, 0, 0},
    {wire::tcp_syn | wire::tcp_ack, 0, 0, 1},
    {wire::tcp_ack, 0, 1, 1},
    {wire::tcp_ack | wire::tcp_psh, data_bytes, 1, 1},
    {wire::tcp_ack | wire::tcp_psh, data_bytes, 1, 1 + data_bytes},
    {wire::tcp_ack | wire::tcp_fin, 0, 1 + data_bytes, 1 + data_bytes},
    {wire::tcp_ack | wire::tcp_fin, 0, 1 + data_bytes, 2 + data_bytes},
    {wire::tcp_ack, 0, 2 + data_bytes, 2 + data_bytes},
    {wire::tcp_ack | wire::tcp_psh, data_bytes, 1, 1},
    {wire::tcp_ack | wire::tcp_psh, data_bytes, 1, 1 + data_bytes},
}};

const StepTraits& traits_of(Step step) { return traits[static_cast<size_t>(step)]; }

/// The id is the client's initial sequence number, its complement the backend's.
uint32_t sequence_of(const Message& message) {
  const uint32_t initial = is_from_client(message.step) ? message.id : ~message.id;
  return initial + traits_of(message.step).sent;
}
uint32_t acknowledgement_of(const Message& message) {
  if (message.step == Step::syn) return 0;
  const uint32_t initial = is_from_client(message.step) ? ~message.id : message.id;
  return initial + traits_of(message.step).acknowledged;
}

/// An odd factor maps the connections of all kinds one to one onto 39 bits: address and port.
uint64_t client_of(const Message& message) {
  const uint64_t number = uint64_t{static_cast<uint8_t>(message.kind)} << 37 | message.id;
  constexpr uint64_t bits = (uint64_t{1} << 39) - 1;
  return number * 0x9e37'79b9'7f4a'7c15 & bits;
}
uint32_t client_host(uint64_t client) { return static_cast<uint32_t>(client >> 15); }
uint16_t client_port(uint64_t client) { return static_cast<uint16_t>(1024 + (client & 0x7fff)); }

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e37'79b9'7f4a'7c15;
  return hash ^ hash >> 29;
}

}  // namespace

size_t Conversation::ip_bytes() const {
  return family_ == Family::v4 ? size_t{ipv4::header_bytes} : size_t{ipv6::header_bytes};
}
size_t Conversation::l4_at() const { return ip_at + ip_bytes(); }
size_t Conversation::payload_at() const {
  return l4_at() + (is_tcp() ? size_t{tcp::header_bytes} : size_t{udp::header_bytes});
}

void Conversation::write_client_addresses(const Message& message, uint8_t* frame) const {
  const uint64_t client = client_of(message);
  uint8_t* ip = frame + ip_at;
  if (family_ == Family::v4) {
    store_be32(ip + ipv4::source, 11u << 24 | client_host(client));
    store_be32(ip + ipv4::destination, virtual_v4);
  } else {
    std::memcpy(ip + ipv6::source, virtual_v6.data(), 16);
    ip[ipv6::source + 3] = 9;
    store_be32(ip + ipv6::source + 12, client_host(client));
    std::memcpy(ip + ipv6::destination, virtual_v6.data(), 16);
  }
  store_be16(frame + l4_at(), client_port(client));
  store_be16(frame + l4_at() + 2,
             static_cast<uint16_t>(listener_port_first + message.id % listeners_));
}

uint16_t Conversation::write(const Message& message, uint8_t* frame) const {
  std::memset(frame, 0, frame_bytes_max);
  std::memcpy(frame, front_mac.data(), 6);
  std::memcpy(frame + 6, client_mac.data(), 6);
  write_client_addresses(message, frame);
  return finish(message, frame);
}

uint16_t Conversation::answer(const uint8_t* from, const Message& message, uint8_t* frame) const {
  std::memset(frame, 0, frame_bytes_max);
  std::memcpy(frame, from + 6, 6);
  std::memcpy(frame + 6, from, 6);
  const size_t bytes = family_ == Family::v4 ? 4 : 16;
  const size_t source = ip_at + (family_ == Family::v4 ? ipv4::source : ipv6::source);
  const size_t target = ip_at + (family_ == Family::v4 ? ipv4::destination : ipv6::destination);
  std::memcpy(frame + source, from + target, bytes);
  std::memcpy(frame + target, from + source, bytes);
  store(frame + l4_at(), load<uint16_t>(from + l4_at() + 2));
  store(frame + l4_at() + 2, load<uint16_t>(from + l4_at()));
  return finish(message, frame);
}

/// Everything but the addresses.
uint16_t Conversation::finish(const Message& message, uint8_t* frame) const {
  uint8_t* ip = frame + ip_at;
  uint8_t* l4 = frame + l4_at();
  const size_t payload = is_tcp() ? traits_of(message.step).payload : data_bytes;
  const size_t l4_bytes = payload_at() - l4_at() + payload;
  if (family_ == Family::v4) {
    store_be16(frame + ethernet::type, ethernet::type_ipv4);
    store_be16(ip, 0x4500);
    store_be16(ip + ipv4::total_bytes, static_cast<uint16_t>(ip_bytes() + l4_bytes));
    ip[ipv4::ttl] = 64;
    ip[ipv4::protocol] = protocol_;
    store(ip + ipv4::checksum, wire::finish_checksum(wire::sum_bytes({ip, ip_bytes()})));
  } else {
    store_be16(frame + ethernet::type, ethernet::type_ipv6);
    ip[0] = 0x60;
    store_be16(ip + ipv6::payload_bytes, static_cast<uint16_t>(l4_bytes));
    ip[ipv6::next_header] = protocol_;
    ip[ipv6::hop_limit] = 64;
  }
  const auto what =
      static_cast<uint16_t>(static_cast<unsigned>(message.kind) << 8 | unsigned(message.step));
  if (is_tcp()) {
    store_be32(l4 + tcp::sequence, sequence_of(message));
    store_be32(l4 + tcp::acknowledgement, acknowledgement_of(message));
    l4[tcp::data_offset] = 0x50;
    l4[tcp::flags] = traits_of(message.step).flags;
    store_be16(l4 + tcp::window, what);
  } else {
    store_be16(l4 + udp::length, static_cast<uint16_t>(l4_bytes));
    store(frame + payload_at(), magic);
    store_be32(frame + payload_at() + 4, message.id);
    store_be16(frame + payload_at() + 8, what);
  }
  const uint16_t checksum = wire::finish_checksum(l4_sum(frame, l4_bytes));
  store(l4 + (is_tcp() ? tcp::checksum : udp::checksum),
        !is_tcp() && checksum == 0 ? uint16_t{0xffff} : checksum);
  return std::max(frame_bytes_min, static_cast<uint16_t>(payload_at() + payload));
}

/// RFC 768, RFC 9293 §3.1: pseudo header and segment.
uint64_t Conversation::l4_sum(const uint8_t* frame, size_t l4_bytes) const {
  const bool is_v4 = family_ == Family::v4;
  const uint8_t* addresses = frame + ip_at + (is_v4 ? ipv4::source : ipv6::source);
  const uint64_t pseudo = swap16(protocol_) + uint64_t{swap16(static_cast<uint16_t>(l4_bytes))};
  const uint64_t sum = wire::sum_bytes({addresses, is_v4 ? size_t{8} : size_t{32}}, pseudo);
  return wire::sum_bytes({frame + l4_at(), l4_bytes}, sum);
}

bool Conversation::is_whole(std::span<const uint8_t> frame) const {
  if (frame.size() < payload_at()) return false;
  const uint8_t* ip = frame.data() + ip_at;
  const bool is_v4 = family_ == Family::v4;
  const uint16_t type = is_v4 ? ethernet::type_ipv4 : ethernet::type_ipv6;
  if (load_be16(frame.data() + ethernet::type) != type) return false;
  if (ip[is_v4 ? ipv4::protocol : ipv6::next_header] != protocol_) return false;
  const size_t after_ip = is_v4 ? size_t{load_be16(ip + ipv4::total_bytes)} - ip_bytes()
                                : size_t{load_be16(ip + ipv6::payload_bytes)};
  if (after_ip > frame.size() - l4_at() || after_ip < payload_at() - l4_at()) return false;
  if (is_v4 && wire::fold(wire::sum_bytes({ip, ip_bytes()})) != 0xffff) return false;
  return wire::fold(l4_sum(frame.data(), after_ip)) == 0xffff;
}

bool Conversation::is_reset(std::span<const uint8_t> frame) const {
  return is_tcp() && is_whole(frame) && (frame[l4_at() + tcp::flags] & wire::tcp_rst) != 0;
}

std::optional<Message> Conversation::message_of(const uint8_t* frame) const {
  const uint8_t* l4 = frame + l4_at();
  const uint8_t* payload = frame + payload_at();
  const uint16_t what = load_be16(is_tcp() ? l4 + tcp::window : payload + 8);
  if ((what & 0xff) >= step_count || what >> 8 > static_cast<unsigned>(Kind::flood)) {
    return std::nullopt;
  }
  Message message{static_cast<Kind>(what >> 8), static_cast<Step>(what & 0xff), 0};
  if (!is_tcp()) {
    if (load<uint32_t>(payload) != magic) return std::nullopt;
    message.id = load_be32(payload + 4);
    return message;
  }
  const uint32_t initial = load_be32(l4 + tcp::sequence) - traits_of(message.step).sent;
  message.id = is_from_client(message.step) ? initial : ~initial;
  const bool is_true = l4[tcp::flags] == traits_of(message.step).flags &&
                       load_be32(l4 + tcp::acknowledgement) == acknowledgement_of(message);
  return is_true ? std::optional(message) : std::nullopt;
}

uint64_t Conversation::endpoints_of(const uint8_t* frame) const {
  const bool is_v4 = family_ == Family::v4;
  const uint8_t* at = frame + ip_at + (is_v4 ? ipv4::source : ipv6::source);
  uint64_t hash = load<uint32_t>(frame + l4_at());
  for (size_t i = 0; i < (is_v4 ? 8u : 32u); i += 8) hash = mix(hash, load<uint64_t>(at + i));
  return hash | 1;
}

/// Addresses count from 1 within their network: the last bit tells odd hosts from even ones.
bool Conversation::is_mixed(const uint8_t* frame) const {
  const bool is_v4 = family_ == Family::v4;
  const uint8_t* ip = frame + ip_at;
  const uint8_t snat_last = ip[is_v4 ? ipv4::source + 3 : ipv6::source + 15];
  const uint8_t backend_last = ip[is_v4 ? ipv4::destination + 3 : ipv6::destination + 15];
  const unsigned revision_last = frame[3];
  return ((snat_last ^ revision_last) & 1) != 0 || ((backend_last ^ revision_last) & 1) != 0;
}

std::optional<Seen> Conversation::read_at_backend(std::span<const uint8_t> frame) const {
  if (!is_whole(frame)) return {};
  // Bytes 2 and 3 are the snapshot's mark.
  const uint8_t* mac = frame.data();
  if (mac[0] != backend_mac[0] || mac[1] != backend_mac[1]) return {};
  if (std::memcmp(mac + 4, &backend_mac[4], 2) != 0) return {};
  if (load_be16(frame.data() + l4_at() + 2) != backend_port) return {};
  const auto message = message_of(frame.data());
  if (!message || !is_from_client(message->step)) return {};
  return Seen{*message, endpoints_of(frame.data()),
              message->step == Step::syn && is_mixed(frame.data())};
}

std::optional<Seen> Conversation::read_at_client(std::span<const uint8_t> frame) const {
  if (!is_whole(frame) || std::memcmp(frame.data(), client_mac.data(), 6) != 0) return {};
  const auto message = message_of(frame.data());
  if (!message || is_from_client(message->step)) return {};
  // The exact reverse of what this client sends.
  std::array<uint8_t, frame_bytes_max> sent;
  write_client_addresses(*message, sent.data());
  const bool is_v4 = family_ == Family::v4;
  const size_t bytes = is_v4 ? 4 : 16;
  const size_t source = ip_at + (is_v4 ? ipv4::source : ipv6::source);
  const size_t target = ip_at + (is_v4 ? ipv4::destination : ipv6::destination);
  const uint8_t* came = frame.data();
  const bool reversed = std::memcmp(&sent[source], came + target, bytes) == 0 &&
                        std::memcmp(&sent[target], came + source, bytes) == 0 &&
                        std::memcmp(&sent[l4_at()], came + l4_at() + 2, 2) == 0 &&
                        std::memcmp(&sent[l4_at() + 2], came + l4_at(), 2) == 0;
  if (!reversed) return {};
  return Seen{*message, endpoints_of(came), false};
}

}  // namespace sluice::perf
