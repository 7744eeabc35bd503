// checksum_check: verifies every IPv4 header, TCP, UDP, ICMP and ICMPv6 checksum of pcap files
// (Ethernet, as tcpdump -w writes them). Deliberately shares no code with dataplane/wire: it is the
// judge of that code. Prints JSON: packets, how many of each kind were verified, what was wrong.
// checksum_check --files client.pcap,blue.pcap
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>

#include "tests/e2e/tools/arguments.h"

namespace sluice::e2e {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint32_t magic_microseconds = 0xa1b2c3d4;
constexpr uint32_t magic_nanoseconds = 0xa1b23c4d;
constexpr uint32_t link_ethernet = 1;
constexpr size_t errors_shown_max = 20;

struct Report {
  uint64_t packets = 0, cut = 0, not_ip = 0, fragments = 0, bad = 0;
  uint64_t ipv4 = 0, ipv6 = 0, tcp = 0, udp = 0, icmp = 0, icmp6 = 0;
  std::vector<std::string> errors;

  void complain(const std::string& file, const std::string& what) {
    ++bad;
    if (errors.size() < errors_shown_max) {
      errors.push_back(file + " packet " + std::to_string(packets) + ": " + what);
    }
  }
};

uint16_t read_be16(Bytes bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

/// Ones' complement sum in network order (RFC 1071), not folded.
uint64_t sum_words(Bytes bytes, uint64_t sum = 0) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += read_be16(bytes, i);
  if (bytes.size() % 2 != 0) sum += static_cast<uint64_t>(bytes.back()) << 8;
  return sum;
}

bool sums_to_all_ones(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

/// `addresses` are source and destination as they stand in the IP header.
void check_transport(Report& report, const std::string& file, uint8_t protocol, Bytes addresses,
                     Bytes payload) {
  const uint64_t pseudo = sum_words(addresses, protocol + payload.size());
  const bool v4 = addresses.size() == 8;
  if (protocol == 6) {
    ++report.tcp;
    if (!sums_to_all_ones(sum_words(payload, pseudo))) report.complain(file, "TCP checksum");
  } else if (protocol == 17) {
    ++report.udp;
    if (payload.size() < 8) return report.complain(file, "UDP header cut");
    const bool absent = read_be16(payload, 6) == 0;
    if (absent && !v4) report.complain(file, "UDP over IPv6 without a checksum");
    if (!absent && !sums_to_all_ones(sum_words(payload, pseudo))) {
      report.complain(file, "UDP checksum");
    }
  } else if (protocol == 1 && v4) {
    ++report.icmp;
    if (!sums_to_all_ones(sum_words(payload))) report.complain(file, "ICMP checksum");
  } else if (protocol == 58 && !v4) {
    ++report.icmp6;
    if (!sums_to_all_ones(sum_words(payload, pseudo))) report.complain(file, "ICMPv6 checksum");
  }
}

void check_ipv4(Report& report, const std::string& file, Bytes packet) {
  const size_t header = packet.empty() ? 0 : static_cast<size_t>(packet[0] & 15) * 4;
  if (packet.size() < 20 || header < 20) return report.complain(file, "IPv4 header cut");
  const size_t total = read_be16(packet, 2);
  if (total < header || total > packet.size()) return report.complain(file, "IPv4 length");
  ++report.ipv4;
  if (!sums_to_all_ones(sum_words(packet.first(header)))) {
    report.complain(file, "IPv4 header checksum");
  }
  if ((read_be16(packet, 6) & 0x3fff) != 0) {
    ++report.fragments;
    return;
  }
  check_transport(report, file, packet[9], packet.subspan(12, 8),
                  packet.subspan(header, total - header));
}

void check_ipv6(Report& report, const std::string& file, Bytes packet) {
  if (packet.size() < 40) return report.complain(file, "IPv6 header cut");
  const size_t end = 40u + read_be16(packet, 4);
  if (end > packet.size()) return report.complain(file, "IPv6 length");
  ++report.ipv6;
  uint8_t next = packet[6];
  size_t at = 40;
  while (next == 0 || next == 43 || next == 60) {  // hop-by-hop (MLD), routing, destination
    if (at + 8 > end) return report.complain(file, "IPv6 extension header cut");
    next = packet[at];
    at += 8u + packet[at + 1] * 8u;
  }
  if (at > end) return report.complain(file, "IPv6 extension header cut");
  check_transport(report, file, next, packet.subspan(8, 32), packet.subspan(at, end - at));
}

void check_frame(Report& report, const std::string& file, Bytes frame) {
  if (frame.size() < 14) return report.complain(file, "frame cut");
  const uint16_t type = read_be16(frame, 12);
  if (type == 0x0800) return check_ipv4(report, file, frame.subspan(14));
  if (type == 0x86dd) return check_ipv6(report, file, frame.subspan(14));
  ++report.not_ip;
}

void check_file(Report& report, const std::string& name, const Arguments& arguments) {
  std::ifstream stream(name, std::ios::binary);
  if (!stream) arguments.fail("cannot read " + name);
  std::array<uint32_t, 6> header{};
  stream.read(reinterpret_cast<char*>(header.data()), sizeof(header));
  if (!stream || (header[0] != magic_microseconds && header[0] != magic_nanoseconds) ||
      (header[5] & 0xffff) != link_ethernet) {
    arguments.fail(name + ": not an Ethernet pcap of this machine's byte order");
  }
  std::array<uint32_t, 4> record{};  // seconds, fraction, captured bytes, bytes on the wire
  std::vector<uint8_t> frame;
  while (stream.read(reinterpret_cast<char*>(record.data()), sizeof(record))) {
    frame.resize(record[2]);
    stream.read(reinterpret_cast<char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
    if (!stream) break;  // tcpdump was ended in the middle of a record
    ++report.packets;
    if (record[2] != record[3]) {
      ++report.cut;
    } else {
      check_frame(report, name, frame);
    }
  }
}

}  // namespace
}  // namespace sluice::e2e

int main(int argc, char** argv) {
  using namespace sluice::e2e;
  const Arguments arguments(argc, argv);
  Report report;
  for (const std::string& file : arguments.list("files")) check_file(report, file, arguments);
  const nlohmann::json json = {{"packets", report.packets}, {"cut", report.cut},
                               {"not_ip", report.not_ip},   {"ipv4", report.ipv4},
                               {"ipv6", report.ipv6},       {"tcp", report.tcp},
                               {"udp", report.udp},         {"icmp", report.icmp},
                               {"icmp6", report.icmp6},     {"fragments", report.fragments},
                               {"bad", report.bad},         {"errors", report.errors}};
  std::printf("%s\n", json.dump().c_str());
}
