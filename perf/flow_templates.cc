#include "perf/flow_templates.h"

#include <algorithm>

#include "dataplane/base/byte_order.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"
#include "dataplane/wire/parse.h"

namespace sluice::perf {
namespace {

namespace ethernet = wire::ethernet;
namespace ipv4 = wire::ipv4;
namespace ipv6 = wire::ipv6;

constexpr uint32_t magic = 0x51'1c'e0'5a;
constexpr size_t ip_at = wire::ethernet_header_bytes;
constexpr std::array<uint8_t, 6> front_mac = {0x02, 0, 0, 0, 0, 0x01};
constexpr std::array<uint8_t, 6> client_mac = {0x02, 0, 0, 0, 0, 0x02};
constexpr std::array<uint8_t, 6> back_mac = {0x02, 0, 0, 0, 0, 0x11};
constexpr std::array<uint8_t, 6> backend_mac = {0x02, 0, 0, 0, 0, 0x12};
constexpr std::array<uint8_t, 16> virtual_v6 = {0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};

void write_ipv4_checksum(uint8_t* ip) {
  store(ip + ipv4::checksum, uint16_t{0});
  store(ip + ipv4::checksum, wire::finish_checksum(wire::sum_bytes({ip, ipv4::header_bytes})));
}

}  // namespace

FlowTemplates::FlowTemplates(const FlowPlan& plan)
    : plan_(plan),
      template_bytes_(payload_offset() <= line_bytes ? line_bytes : 2 * line_bytes),
      client_(plan.flows * template_bytes_),
      backend_(plan.flows * template_bytes_) {
  for (uint32_t position = 0; position < plan_.flows; ++position) {
    write_client(position);
    if (!plan_.learns) {
      uint8_t* to = &backend_[position * template_bytes_];
      std::memcpy(to, client(position), template_bytes_);
    }
  }
}

size_t FlowTemplates::l4_offset() const {
  return ip_at + (plan_.family == Family::v4 ? ipv4::header_bytes : ipv6::header_bytes);
}

size_t FlowTemplates::payload_offset() const {
  return l4_offset() +
         (plan_.protocol == protocol_tcp ? wire::tcp::header_bytes : wire::udp::header_bytes);
}

uint16_t FlowTemplates::frame_bytes(const uint8_t* frame) const {
  if (plan_.family == Family::v4) {
    return static_cast<uint16_t>(ip_at + load_be16(frame + ip_at + ipv4::total_bytes));
  }
  return static_cast<uint16_t>(ip_at + ipv6::header_bytes +
                               load_be16(frame + ip_at + ipv6::payload_bytes));
}

uint16_t FlowTemplates::final_bytes(uint32_t position) const {
  uint16_t bytes = plan_.frame_bytes;
  if (bytes == 0) {
    // By position, which says nothing about the order in which records were made.
    const uint32_t turn = position % 12;
    bytes = turn < 7 ? 64 : turn < 11 ? 570 : 1500;
  }
  return std::max(bytes, static_cast<uint16_t>(payload_offset() + plan_.payload_bytes_min));
}

void FlowTemplates::set_length(uint8_t* frame, uint16_t bytes) const {
  uint8_t* ip = frame + ip_at;
  if (plan_.family == Family::v4) {
    store_be16(ip + ipv4::total_bytes, static_cast<uint16_t>(bytes - ip_at));
    write_ipv4_checksum(ip);
  } else {
    store_be16(ip + ipv6::payload_bytes, static_cast<uint16_t>(bytes - l4_offset()));
  }
  if (plan_.protocol == protocol_udp) {
    store_be16(frame + l4_offset() + wire::udp::length, static_cast<uint16_t>(bytes - l4_offset()));
  }
}

/// RFC 768, RFC 9293 §3.1: pseudo header and segment, of which `bytes_there` bytes of the frame are
/// there and the rest counts as zeros.
uint64_t FlowTemplates::l4_sum(const uint8_t* frame, uint16_t bytes, size_t bytes_there) const {
  const bool is_v4 = plan_.family == Family::v4;
  const uint8_t* addresses = frame + ip_at + (is_v4 ? ipv4::source : ipv6::source);
  const uint64_t pseudo =
      swap16(plan_.protocol) + uint64_t{swap16(static_cast<uint16_t>(bytes - l4_offset()))};
  const uint64_t sum = wire::sum_bytes({addresses, is_v4 ? size_t{8} : size_t{32}}, pseudo);
  const size_t end = std::min<size_t>(bytes, bytes_there);
  return wire::sum_bytes({frame + l4_offset(), end - l4_offset()}, sum);
}

void FlowTemplates::set_l4_checksum(uint8_t* frame, uint16_t bytes, size_t bytes_there) const {
  const bool is_udp = plan_.protocol == protocol_udp;
  uint8_t* field = frame + l4_offset() + (is_udp ? wire::udp::checksum : wire::tcp::checksum);
  store(field, uint16_t{0});
  const uint16_t checksum = wire::finish_checksum(l4_sum(frame, bytes, bytes_there));
  store(field, is_udp && checksum == 0 ? uint16_t{0xffff} : checksum);
}

void FlowTemplates::set_flags(uint8_t* frame, uint8_t flags) const {
  if (plan_.protocol == protocol_tcp) frame[l4_offset() + wire::tcp::flags] = flags;
}

void FlowTemplates::write_client(uint32_t position) {
  uint8_t* frame = &client_[position * template_bytes_];
  uint8_t* ip = frame + ip_at;
  std::memcpy(frame, front_mac.data(), 6);
  std::memcpy(frame + 6, client_mac.data(), 6);
  // An odd factor maps the positions one to one onto 39 bits: address and port of the client.
  const uint64_t mixed = position * uint64_t{0x9e37'79b9'7f4a'7c15} >> 25;
  const auto host = static_cast<uint32_t>(mixed >> 15 & 0xff'ffff);
  if (plan_.family == Family::v4) {
    store_be16(frame + ethernet::type, ethernet::type_ipv4);
    store_be16(ip, 0x4500);
    ip[ipv4::ttl] = 64;
    ip[ipv4::protocol] = plan_.protocol;
    store_be32(ip + ipv4::source, 11u << 24 | host);
    store_be32(ip + ipv4::destination, 0x0a00'0064);
  } else {
    store_be16(frame + ethernet::type, ethernet::type_ipv6);
    ip[0] = 0x60;
    ip[ipv6::next_header] = plan_.protocol;
    ip[ipv6::hop_limit] = 64;
    std::memcpy(ip + ipv6::source, virtual_v6.data(), 16);
    ip[ipv6::source + 3] = 9;
    store_be32(ip + ipv6::source + 12, host);
    std::memcpy(ip + ipv6::destination, virtual_v6.data(), 16);
  }
  uint8_t* l4 = frame + l4_offset();
  store_be16(l4, static_cast<uint16_t>(1024 + (mixed & 0x7fff)));
  store_be16(l4 + 2, static_cast<uint16_t>(listener_port_first + position % plan_.listeners));
  if (plan_.protocol == protocol_tcp) {
    l4[wire::tcp::data_offset] = 0x50;
  }
  set_flags(frame, wire::tcp_ack);
  set_length(frame, learning_frame_bytes);
}

void FlowTemplates::write_learning(const uint8_t* from, uint32_t position, uint8_t flags,
                                   uint8_t* to) const {
  std::memcpy(to, from, template_bytes_);
  set_length(to, learning_frame_bytes);
  set_flags(to, flags);
  std::memset(to + payload_offset(), 0, learning_frame_bytes - payload_offset());
  store(to + payload_offset(), magic);
  store(to + payload_offset() + 4, position);
  set_l4_checksum(to, learning_frame_bytes, learning_frame_bytes);
}

void FlowTemplates::write_opening(uint32_t position, uint8_t* frame) const {
  write_learning(client(position), position, wire::tcp_syn, frame);
}

void FlowTemplates::write_answer(uint32_t position, uint8_t* frame) const {
  write_learning(backend(position), position, wire::tcp_syn | wire::tcp_ack, frame);
}

int64_t FlowTemplates::position_of(std::span<const uint8_t> frame) const {
  if (frame.size() != learning_frame_bytes) return -1;
  if (load<uint32_t>(frame.data() + payload_offset()) != magic) return -1;
  if (wire::fold(l4_sum(frame.data(), learning_frame_bytes, frame.size())) != 0xffff) return -1;
  const auto position = load<uint32_t>(frame.data() + payload_offset() + 4);
  return position < plan_.flows ? position : -1;
}

int64_t FlowTemplates::learn(std::span<const uint8_t> frame) {
  const int64_t position = position_of(frame);
  if (position < 0) return position;
  uint8_t* to = &backend_[static_cast<size_t>(position) * template_bytes_];
  const uint8_t* ip = frame.data() + ip_at;
  std::memcpy(to, frame.data(), template_bytes_);
  std::memcpy(to, back_mac.data(), 6);
  std::memcpy(to + 6, backend_mac.data(), 6);
  const bool is_v4 = plan_.family == Family::v4;
  const size_t bytes = is_v4 ? 4 : 16;
  const size_t source = is_v4 ? ipv4::source : ipv6::source;
  const size_t destination = is_v4 ? ipv4::destination : ipv6::destination;
  std::memcpy(to + ip_at + source, ip + destination, bytes);
  std::memcpy(to + ip_at + destination, ip + source, bytes);
  to[ip_at + (is_v4 ? ipv4::ttl : ipv6::hop_limit)] = 64;
  const uint8_t* l4 = frame.data() + l4_offset();
  store(to + l4_offset(), load<uint16_t>(l4 + 2));
  store(to + l4_offset() + 2, load<uint16_t>(l4));
  set_flags(to, wire::tcp_ack);
  std::memset(to + payload_offset(), 0, template_bytes_ - payload_offset());
  return position;
}

bool FlowTemplates::checksums_right(std::span<const uint8_t> frame) const {
  const uint8_t* ip = frame.data() + ip_at;
  const bool is_v4 = plan_.family == Family::v4;
  if (is_v4 && wire::fold(wire::sum_bytes({ip, ipv4::header_bytes})) != 0xffff) return false;
  return wire::fold(l4_sum(frame.data(), static_cast<uint16_t>(frame.size()), frame.size())) ==
         0xffff;
}

bool FlowTemplates::reverses(const uint8_t* sent, const uint8_t* came) const {
  const bool is_v4 = plan_.family == Family::v4;
  const size_t bytes = is_v4 ? 4 : 16;
  const size_t source = ip_at + (is_v4 ? ipv4::source : ipv6::source);
  const size_t destination = ip_at + (is_v4 ? ipv4::destination : ipv6::destination);
  const size_t l4 = l4_offset();
  return std::memcmp(sent + source, came + destination, bytes) == 0 &&
         std::memcmp(sent + destination, came + source, bytes) == 0 &&
         std::memcmp(sent + l4, came + l4 + 2, 2) == 0 &&
         std::memcmp(sent + l4 + 2, came + l4, 2) == 0;
}

int64_t FlowTemplates::confirm(std::span<const uint8_t> frame) const {
  const int64_t position = position_of(frame);
  if (position < 0) return position;
  const bool right =
      reverses(client(static_cast<uint32_t>(position)), frame.data()) && checksums_right(frame);
  return right ? position : -1;
}

void FlowTemplates::finish() {
  for (uint32_t position = 0; position < plan_.flows; ++position) {
    const uint16_t bytes = final_bytes(position);
    for (std::vector<uint8_t>* frames : {&client_, &backend_}) {
      uint8_t* frame = &(*frames)[position * template_bytes_];
      set_length(frame, bytes);
      // Behind the template a frame has what its buffer had: zeros for the checksum.
      set_l4_checksum(frame, bytes, template_bytes_);
    }
  }
}

}  // namespace sluice::perf
