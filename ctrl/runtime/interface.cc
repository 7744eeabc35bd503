#include "ctrl/runtime/interface.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "ctrl/runtime/netlink_message.h"

namespace sluice::ctrl {

namespace {

struct Sysctl {
  std::string_view directory;
  std::string_view key;
  std::string_view value;
};

// arp_ignore, arp_announce: a virtual address is answered for on its own port only, and never
// asked from. rp_filter loose: the reply may well leave by another port. accept_dad: the device
// below has the same MAC address, so that duplicates of link-local ones cannot be told, and until
// the link-local address is usable the kernel resolves nobody.
// neigh: traffic passes the kernel by and confirms nothing, so that only probes notice a MAC
// address that moved; ask every 10 s or so instead of every 30.
constexpr Sysctl sysctls[] = {
    {"ipv4/conf", "arp_ignore", "1"},
    {"ipv4/conf", "arp_announce", "2"},
    {"ipv4/conf", "rp_filter", "2"},
    {"ipv4/conf", "accept_redirects", "0"},
    {"ipv4/conf", "promote_secondaries", "1"},
    {"ipv6/conf", "disable_ipv6", "0"},
    {"ipv6/conf", "accept_ra", "0"},
    {"ipv6/conf", "autoconf", "0"},
    {"ipv6/conf", "accept_redirects", "0"},
    {"ipv6/conf", "accept_dad", "0"},
    {"ipv4/neigh", "base_reachable_time_ms", "10000"},
    {"ipv4/neigh", "delay_first_probe_time", "1"},
    {"ipv6/neigh", "base_reachable_time_ms", "10000"},
    {"ipv6/neigh", "delay_first_probe_time", "1"},
};

constexpr int dump_attempts_max = 8;

uint8_t whole_bits(const IpAddress& address) { return address.family == Family::v4 ? 32 : 128; }

bool is_virtual(const Prefix& prefix) { return prefix.length == whole_bits(prefix.address); }

int write_sysctl(const std::string& path, std::string_view value) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::write(fd, value.data(), value.size()) > 0 ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

Interface::Interface(NetlinkSocket& netlink, std::string name, int index)
    : netlink_(netlink), name_(std::move(name)), index_(index) {}

Status Interface::bring_up(const MacAddress& mac, uint16_t mtu) {
  NetlinkRequest<ifinfomsg> request(RTM_NEWLINK);
  request->ifi_index = index_;
  request->ifi_flags = IFF_UP;
  request->ifi_change = IFF_UP;
  request.put(IFLA_ADDRESS, mac.bytes.data(), mac.bytes.size());
  request.put_u32(IFLA_MTU, mtu);
  const int result = netlink_.transact(request.header());
  if (result == 0) return {};
  return fail(fmt::format("interface {}: cannot set MAC {}, MTU {} and bring it up: {}", name_,
                          to_string(mac), mtu, std::strerror(-result)));
}

int Interface::change_address(const Prefix& address, bool add) {
  NetlinkRequest<ifaddrmsg> request(add ? RTM_NEWADDR : RTM_DELADDR,
                                    add ? NLM_F_CREATE | NLM_F_EXCL : 0);
  request->ifa_family = address_family(address.address);
  request->ifa_prefixlen = address.length;
  request->ifa_scope = RT_SCOPE_UNIVERSE;
  request->ifa_index = static_cast<uint32_t>(index_);
  request.put_address(IFA_LOCAL, address.address);
  request.put_address(IFA_ADDRESS, address.address);
  if (add && address.address.family == Family::v6) {
    uint32_t flags = IFA_F_NODAD;
    if (is_virtual(address)) flags |= IFA_F_NOPREFIXROUTE;
    request.put_u32(IFA_FLAGS, flags);
    constexpr uint32_t forever = 0xffff'ffff;
    const ifa_cacheinfo lifetimes = {.ifa_prefered = is_virtual(address) ? 0 : forever,
                                     .ifa_valid = forever,
                                     .cstamp = 0,
                                     .tstamp = 0};
    request.put(IFA_CACHEINFO, &lifetimes, sizeof lifetimes);
  }
  return netlink_.transact(request.header());
}

Status Interface::set_addresses(const std::vector<Prefix>& addresses) {
  const Result<std::set<Prefix>> present = this->addresses();
  if (!present) return std::unexpected(present.error());
  const std::set<Prefix> wanted(addresses.begin(), addresses.end());
  Status status;
  const auto note = [&](std::string_view what, const Prefix& address, int result) {
    if (result == 0 || !status) return;
    status = fail(fmt::format("interface {}: cannot {} address {}: {}", name_, what,
                              to_string(address), std::strerror(-result)));
  };
  // In the order given: the first address of a network becomes its primary one.
  for (const Prefix& address : addresses) {
    int result = present->contains(address) ? 0 : change_address(address, true);
    if (result == -EEXIST) result = 0;
    if (result == 0 && !present->contains(address)) managed_.insert(address);
    note("add", address, result);
  }
  for (auto it = managed_.begin(); it != managed_.end();) {
    if (wanted.contains(*it)) {
      ++it;
      continue;
    }
    int result = change_address(*it, false);
    if (result == -EADDRNOTAVAIL) result = 0;
    note("remove", *it, result);
    it = result == 0 ? managed_.erase(it) : std::next(it);
  }
  return status;
}

Result<std::set<Prefix>> Interface::addresses() const {
  std::set<Prefix> found;
  const auto take = [&](const nlmsghdr& message) {
    const auto& body = body_of<ifaddrmsg>(message);
    if (body.ifa_index != static_cast<uint32_t>(index_)) return;
    Prefix prefix{.address = {}, .length = body.ifa_prefixlen};
    for_each_attribute<ifaddrmsg>(message, [&](uint16_t type, const nlattr& attribute) {
      // IPv4: IFA_ADDRESS is the peer on point-to-point links. IPv6 has no IFA_LOCAL there.
      const bool own = type == IFA_LOCAL || (type == IFA_ADDRESS && body.ifa_family == AF_INET6);
      if (own) read_address(attribute, body.ifa_family, prefix.address);
    });
    found.insert(prefix);
  };
  int result = -EINTR;
  for (int attempt = 0; attempt < dump_attempts_max && result == -EINTR; ++attempt) {
    found.clear();
    NetlinkRequest<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP);
    request->ifa_index = static_cast<uint32_t>(index_);
    result = netlink_.transact(request.header(), take);
  }
  if (result == 0) return found;
  return fail(
      fmt::format("interface {}: cannot list addresses: {}", name_, std::strerror(-result)));
}

std::vector<std::string> Interface::harden() const {
  std::vector<std::string> failed;
  for (const Sysctl& sysctl : sysctls) {
    const std::string path =
        fmt::format("/proc/sys/net/{}/{}/{}", sysctl.directory, name_, sysctl.key);
    if (const int error = write_sysctl(path, sysctl.value); error != 0) {
      failed.push_back(fmt::format("{}: {}", path, std::strerror(error)));
    }
  }
  return failed;
}

}  // namespace sluice::ctrl
