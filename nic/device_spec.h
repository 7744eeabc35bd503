// DeviceSpec: a device string taken apart and checked, without touching any device. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace sluice::nic {

enum class DeviceKind : uint8_t { pci, af_xdp, af_packet, memif, ring, null, pcap, vdev };

struct DeviceSpec {
  DeviceKind kind = DeviceKind::null;
  std::string target;   // PCI address (long form), interface, socket, ring, file or vdev name
  std::string options;  // "key=value,..." for the driver; may be empty
};

/// The error says what is wrong with the string and which forms there are.
Result<DeviceSpec> parse_device(std::string_view device);

/// What two ports may not share ("interface veth0"); empty when sharing is fine.
std::string exclusive_resource(const DeviceSpec& spec);

/// The value of `key` in "key=value,..."; empty when it is absent.
std::string option_value(std::string_view options, std::string_view key);

}  // namespace sluice::nic
