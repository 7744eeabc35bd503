// lab_server: what a lab backend offers beside nginx, on one or more addresses:
//   UDP --udp-port: a datagram "WHO..." is answered "STACK ADDRESS", any other is echoed unchanged;
//   TCP --bulk-port: transfers with SHA-256 (payload.h: BulkRequest), one thread a connection.
// lab_server --stack blue --addresses 10.0.1.11,fd00:2::11 --udp-port 53 --bulk-port 9000
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/tools/arguments.h"
#include "tests/e2e/tools/sockets.h"
#include "tests/e2e/tools/transfer.h"

namespace sluice::e2e {
namespace {

void serve_datagrams(int fd, const std::string& identity) {
  std::vector<char> buffer(65'536);
  for (;;) {
    SocketAddress peer;
    peer.bytes = sizeof(peer.storage);
    const ssize_t received = recvfrom(fd, buffer.data(), buffer.size(), 0,
                                      reinterpret_cast<sockaddr*>(&peer.storage), &peer.bytes);
    if (received < 0) continue;  // an ICMP error of an earlier answer
    const bool who = received >= 3 && std::memcmp(buffer.data(), "WHO", 3) == 0;
    const char* answer = who ? identity.data() : buffer.data();
    const size_t bytes = who ? identity.size() : static_cast<size_t>(received);
    (void)sendto(fd, answer, bytes, 0, peer.get(), peer.bytes);  // UDP: the client counts losses
  }
}

void serve_transfer(int fd) {
  BulkRequest request;
  const std::span<uint8_t> raw(reinterpret_cast<uint8_t*>(&request), sizeof(request));
  while (receive_all(fd, raw)) {
    const auto digest = request.operation == 'P' ? receive_stream(fd, request.bytes)
                                                 : send_stream(fd, request.bytes, request.seed);
    if (!digest || !send_all(fd, *digest)) break;
  }
  close(fd);
}

void serve_transfers(int fd) {
  for (;;) {
    const int peer = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) continue;
    std::thread(serve_transfer, peer).detach();
  }
}

}  // namespace
}  // namespace sluice::e2e

int main(int argc, char** argv) {
  using namespace sluice::e2e;
  const Arguments arguments(argc, argv);
  const std::string stack = arguments.text("stack");
  const auto udp_port = static_cast<uint16_t>(arguments.number("udp-port"));
  const auto bulk_port = static_cast<uint16_t>(arguments.number("bulk-port"));
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::thread> threads;
  for (const std::string& address : arguments.list("addresses")) {
    const int udp = open_server(make_address(address, udp_port), SOCK_DGRAM);
    const int bytes = 4 << 20;
    setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    threads.emplace_back(serve_datagrams, udp, stack + " " + address);
    threads.emplace_back(serve_transfers,
                         open_server(make_address(address, bulk_port), SOCK_STREAM));
  }
  for (std::thread& thread : threads) thread.join();
}
