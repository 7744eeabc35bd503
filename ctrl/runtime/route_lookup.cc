#include "ctrl/runtime/route_lookup.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstring>
#include <string_view>

#include "ctrl/runtime/netlink_message.h"
#include "dataplane/base/byte_order.h"

namespace sluice::ctrl {

namespace {

std::string_view type_trouble(uint8_t type) {
  switch (type) {
    case RTN_LOCAL:
      return "the address is this node's own";
    case RTN_BROADCAST:
    case RTN_ANYCAST:
    case RTN_MULTICAST:
      return "not a unicast address";
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
      return "the route forbids it";
    default:
      return "not a route to another node";
  }
}

/// RTA_VIA: a gateway of the other family (IPv4 over an IPv6 next hop, RFC 8950).
void read_via(const nlattr& attribute, IpAddress& into) {
  const size_t bytes = ::mnl_attr_get_payload_len(&attribute);
  const auto* via = static_cast<const rtvia*>(::mnl_attr_get_payload(&attribute));
  if (bytes == sizeof(rtvia) + 4 && via->rtvia_family == AF_INET) {
    into = IpAddress::from_v4_raw(load<uint32_t>(via->rtvia_addr));
  } else if (bytes == sizeof(rtvia) + 16 && via->rtvia_family == AF_INET6) {
    into = IpAddress::from_v6(load<std::array<uint8_t, 16>>(via->rtvia_addr));
  }
}

void read_route(const nlmsghdr& message, RouteAnswer& answer) {
  const auto& body = body_of<rtmsg>(message);
  if (body.rtm_type != RTN_UNICAST) {
    answer.trouble = type_trouble(body.rtm_type);
    return;
  }
  for_each_attribute<rtmsg>(message, [&](uint16_t type, const nlattr& attribute) {
    if (type == RTA_OIF && ::mnl_attr_validate(&attribute, MNL_TYPE_U32) == 0) {
      answer.ifindex = static_cast<int>(::mnl_attr_get_u32(&attribute));
    } else if (type == RTA_GATEWAY) {
      read_address(attribute, body.rtm_family, answer.via);
    } else if (type == RTA_VIA) {
      read_via(attribute, answer.via);
    }
  });
  answer.unicast = answer.ifindex != 0;
  if (!answer.unicast) answer.trouble = "the route names no interface";
}

}  // namespace

RouteAnswer look_up_route(NetlinkSocket& netlink, const IpAddress& destination) {
  NetlinkRequest<rtmsg> request(RTM_GETROUTE);
  request->rtm_family = address_family(destination);
  request->rtm_dst_len = destination.family == Family::v4 ? 32 : 128;
  request.put_address(RTA_DST, destination);

  RouteAnswer answer;
  answer.via = destination;
  const int result = netlink.transact(
      request.header(), [&](const nlmsghdr& message) { read_route(message, answer); });
  if (result < 0) {
    answer = {};
    answer.via = destination;
    answer.trouble = fmt::format("no route ({})", std::strerror(-result));
  }
  return answer;
}

Prefix route_destination(const nlmsghdr& message) {
  const auto& body = body_of<rtmsg>(message);
  Prefix destination;
  destination.address.family = body.rtm_family == AF_INET6 ? Family::v6 : Family::v4;
  destination.length = body.rtm_dst_len;
  for_each_attribute<rtmsg>(message, [&](uint16_t type, const nlattr& attribute) {
    if (type == RTA_DST) read_address(attribute, body.rtm_family, destination.address);
  });
  return destination;
}

}  // namespace sluice::ctrl
