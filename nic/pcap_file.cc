#include "nic/pcap_file.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "dataplane/base/byte_order.h"

namespace sluice::nic {

Result<uint64_t> count_pcap_packets(const std::string& path) {
  constexpr uint32_t magic_us = 0xa1b2c3d4;
  constexpr uint32_t magic_ns = 0xa1b23c4d;
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(fmt::format("cannot read the file: {}", std::strerror(errno)));
  std::array<char, 24> header{};
  file.read(header.data(), header.size());
  const auto magic = load<uint32_t>(header.data());
  const bool swapped = swap32(magic) == magic_us || swap32(magic) == magic_ns;
  if (!file || (!swapped && magic != magic_us && magic != magic_ns)) {
    return fail("the file is not a pcap file");
  }
  uint64_t packets = 0;
  std::array<char, 16> record{};
  while (file.read(record.data(), record.size())) {
    const auto raw = load<uint32_t>(record.data() + 8);  // captured bytes of this packet
    const uint32_t bytes = swapped ? swap32(raw) : raw;
    if (file.ignore(bytes).gcount() != static_cast<std::streamsize>(bytes)) break;
    ++packets;
  }
  if (packets == 0) return fail("the file has no packets");
  return packets;
}

}  // namespace sluice::nic
