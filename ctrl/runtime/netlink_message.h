// Building and reading rtnetlink messages; for the .cc files of ctrl/runtime.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/address.h"

namespace sluice::ctrl {

/// A request whose fixed part is `Body` (ifinfomsg, ifaddrmsg, rtmsg, ndmsg), zeroed.
template <typename Body>
class NetlinkRequest {
 public:
  explicit NetlinkRequest(uint16_t type, uint16_t flags = 0)
      : header_(::mnl_nlmsg_put_header(buffer_.data())),
        body_(static_cast<Body*>(::mnl_nlmsg_put_extra_header(header_, sizeof(Body)))) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = flags;
  }
  NetlinkRequest(const NetlinkRequest&) = delete;
  NetlinkRequest& operator=(const NetlinkRequest&) = delete;

  nlmsghdr& header() { return *header_; }
  Body* operator->() { return body_; }

  void put(uint16_t type, const void* data, size_t bytes) {
    ::mnl_attr_put(header_, type, bytes, data);
  }
  void put_u32(uint16_t type, uint32_t value) { ::mnl_attr_put_u32(header_, type, value); }
  void put_address(uint16_t type, const IpAddress& address) {
    put(type, address.bytes.data(), address.family == Family::v4 ? 4 : 16);
  }

 private:
  alignas(nlmsghdr) std::array<char, 256> buffer_{};
  nlmsghdr* header_;
  Body* body_;
};

template <typename Body>
const Body& body_of(const nlmsghdr& message) {
  return *static_cast<const Body*>(::mnl_nlmsg_get_payload(&message));
}

/// Calls `visit(type, attribute)` for the attributes behind `Body`.
template <typename Body, typename Visit>
void for_each_attribute(const nlmsghdr& message, Visit visit) {
  const auto call = [](const nlattr* attribute, void* data) {
    (*static_cast<Visit*>(data))(::mnl_attr_get_type(attribute), *attribute);
    return MNL_CB_OK;
  };
  ::mnl_attr_parse(&message, sizeof(Body), call, &visit);
}

}  // namespace sluice::ctrl
