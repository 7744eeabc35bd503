// bulk: one TCP transfer of --bytes to or from a lab_server; prints JSON with the SHA-256 of what
// was sent and of what arrived. bulk --to 10.0.0.100 --port 9000 --bytes 1073741824 --direction
// put|get --seed 7
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/e2e/tools/arguments.h"
#include "tests/e2e/tools/sockets.h"
#include "tests/e2e/tools/transfer.h"

int main(int argc, char** argv) {
  using namespace sluice::e2e;
  const Arguments arguments(argc, argv);
  const bool put = arguments.text("direction") == "put";
  BulkRequest request;
  request.operation = put ? 'P' : 'G';
  request.bytes = arguments.number("bytes");
  request.seed = arguments.number("seed", "1");

  const SocketAddress to =
      make_address(arguments.text("to"), static_cast<uint16_t>(arguments.number("port")));
  const int fd = open_socket(to, SOCK_STREAM);
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(fd, to.get(), to.bytes) != 0) die("connect");

  const uint64_t begin = now_ns();
  if (!send_all(fd, {reinterpret_cast<uint8_t*>(&request), sizeof(request)})) die("request");
  const auto ours =
      put ? send_stream(fd, request.bytes, request.seed) : receive_stream(fd, request.bytes);
  if (!ours) die(put ? "send" : "receive");
  Digest theirs{};
  if (!receive_all(fd, theirs)) die("digest of the server");
  const double seconds = static_cast<double>(now_ns() - begin) / 1e9;

  const nlohmann::json report = {{"bytes", request.bytes},
                                 {"seconds", seconds},
                                 {"sent", to_hex(put ? *ours : theirs)},
                                 {"arrived", to_hex(put ? theirs : *ours)}};
  std::printf("%s\n", report.dump().c_str());
  close(fd);
}
