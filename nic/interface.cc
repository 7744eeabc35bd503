#include "nic/interface.h"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::nic {
namespace {

/// A socket to ask about interfaces, and the request with its name filled in.
class InterfaceQuery {
 public:
  explicit InterfaceQuery(const std::string& name)
      : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    name.copy(request_.ifr_name, IFNAMSIZ - 1);
  }
  ~InterfaceQuery() {
    if (fd_ >= 0) close(fd_);
  }
  InterfaceQuery(const InterfaceQuery&) = delete;
  InterfaceQuery& operator=(const InterfaceQuery&) = delete;

  bool ask(unsigned long what) { return ioctl(fd_, what, &request_) == 0; }
  bool ask_ethtool(void* data) {
    request_.ifr_data = static_cast<char*>(data);
    return ask(SIOCETHTOOL);
  }
  const ifreq& reply() const { return request_; }

 private:
  int fd_;
  ifreq request_{};
};

}  // namespace

Result<InterfaceInfo> read_interface(const std::string& name) {
  InterfaceInfo info;
  info.name = name;
  InterfaceQuery query(name);
  if (!query.ask(SIOCGIFINDEX)) {
    if (errno == ENODEV) return fail("no such interface");
    return fail(fmt::format("cannot ask the kernel: {}", std::strerror(errno)));
  }
  info.index = static_cast<unsigned>(query.reply().ifr_ifindex);
  if (!query.ask(SIOCGIFFLAGS)) return fail("the interface went away");
  info.up = (query.reply().ifr_flags & IFF_UP) != 0;
  info.running = (query.reply().ifr_flags & IFF_RUNNING) != 0;
  if (!query.ask(SIOCGIFMTU)) return fail("the interface went away");
  info.mtu = static_cast<uint16_t>(std::min(query.reply().ifr_mtu, 0xffff));
  if (!query.ask(SIOCGIFHWADDR)) return fail("the interface went away");
  std::memcpy(info.mac.bytes.data(), query.reply().ifr_hwaddr.sa_data, info.mac.bytes.size());

  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (query.ask_ethtool(&driver)) info.driver = driver.driver;
  // A driver that knows no channels sends everything through one queue.
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (query.ask_ethtool(&channels)) {
    info.combined_queues = channels.combined_count;
    info.rx_queues = std::max(1u, channels.combined_count + channels.rx_count);
  }
  return info;
}

AllMulticast::AllMulticast(unsigned interface_index)
    // Protocol 0: the socket holds the membership and receives nothing.
    : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  packet_mreq membership{};
  membership.mr_ifindex = static_cast<int>(interface_index);
  membership.mr_type = PACKET_MR_ALLMULTI;
  setsockopt(fd_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof(membership));
}

AllMulticast::~AllMulticast() {
  if (fd_ >= 0) close(fd_);
}

AllMulticast::AllMulticast(AllMulticast&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

AllMulticast& AllMulticast::operator=(AllMulticast&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace sluice::nic
