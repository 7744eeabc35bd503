#include "ctrl/runtime/neighbour_table.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <utility>

#include "ctrl/runtime/netlink_message.h"
#include "dataplane/base/byte_order.h"

namespace sluice::ctrl {

namespace {

constexpr uint16_t usable_states =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
constexpr int dump_attempts_max = 8;

}  // namespace

NeighbourTable::NeighbourTable(NetlinkSocket& netlink, std::set<int> interfaces)
    : netlink_(netlink), interfaces_(std::move(interfaces)) {}

int NeighbourTable::load() {
  entries_.clear();
  const int result = load_family(AF_INET);
  return result == 0 ? load_family(AF_INET6) : result;
}

int NeighbourTable::load_family(uint8_t family) {
  int result = -EINTR;
  for (int attempt = 0; attempt < dump_attempts_max && result == -EINTR; ++attempt) {
    NetlinkRequest<ndmsg> request(RTM_GETNEIGH, NLM_F_DUMP);
    request->ndm_family = family;
    result = netlink_.transact(request.header(), [this](const nlmsghdr& each) { apply(each); });
  }
  return result;
}

std::optional<NeighbourTable::Change> NeighbourTable::apply(const nlmsghdr& message) {
  const auto& body = body_of<ndmsg>(message);
  const bool ip = body.ndm_family == AF_INET || body.ndm_family == AF_INET6;
  if (!ip || (body.ndm_flags & NTF_PROXY) != 0) return std::nullopt;
  if (!interfaces_.contains(body.ndm_ifindex)) return std::nullopt;

  NeighbourKey key{.ifindex = body.ndm_ifindex, .address = {}};
  Entry entry{.state = body.ndm_state, .mac = std::nullopt};
  bool named = false;
  for_each_attribute<ndmsg>(message, [&](uint16_t type, const nlattr& attribute) {
    if (type == NDA_DST) {
      named = read_address(attribute, body.ndm_family, key.address);
    } else if (type == NDA_LLADDR && ::mnl_attr_get_payload_len(&attribute) == 6) {
      entry.mac = sluice::load<MacAddress>(::mnl_attr_get_payload(&attribute));
    }
  });
  if (!named) return std::nullopt;
  const std::optional<MacAddress> before = find(key);
  if (message.nlmsg_type == RTM_DELNEIGH) {
    entries_.erase(key);
  } else {
    entries_[key] = entry;
  }
  return Change{.key = key, .before = before, .after = find(key)};
}

std::optional<MacAddress> NeighbourTable::find(const NeighbourKey& key) const {
  const auto found = entries_.find(key);
  const bool usable = found != entries_.end() && (found->second.state & usable_states) != 0;
  return usable ? found->second.mac : std::nullopt;
}

bool NeighbourTable::is_static(const NeighbourKey& key) const {
  const auto found = entries_.find(key);
  return found != entries_.end() && (found->second.state & (NUD_PERMANENT | NUD_NOARP)) != 0;
}

int NeighbourTable::ask(const NeighbourKey& key) {
  NetlinkRequest<ndmsg> request(RTM_NEWNEIGH, NLM_F_CREATE);
  request->ndm_family = address_family(key.address);
  request->ndm_ifindex = key.ifindex;
  request->ndm_state = NUD_NONE;
  request->ndm_flags = NTF_USE;
  request.put_address(NDA_DST, key.address);
  return netlink_.transact(request.header());
}

}  // namespace sluice::ctrl
