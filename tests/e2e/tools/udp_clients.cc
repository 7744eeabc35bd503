// udp_clients: UDP flows from many source addresses and ports. Two ways:
//   --way who:  every flow asks "WHO" once and writes who answered to --out
//               ("ADDRESS PORT STACK BACKEND", "-" when nobody did);
//   --way echo: --datagrams over all flows, each of another size and content, at most --window
//               unanswered; every answer is compared byte by byte.
// Prints JSON. Lost datagrams are not sent again in "echo"; in "who" up to three times.
// udp_clients --way who --to 10.0.0.100 --port 53 --from 10.0.0.10 --first-port 10000 --flows 2000
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/e2e/tools/arguments.h"
#include "tests/e2e/tools/payload.h"
#include "tests/e2e/tools/sockets.h"

namespace sluice::e2e {
namespace {

constexpr int answer_patience_ms = 1000;
constexpr size_t who_batch = 64;
constexpr size_t datagram_bytes_max = 1452;  // fits MTU 1500 over IPv6

struct Flow {
  std::string address;
  uint16_t port = 0;
  int fd = -1;
  std::string answer;
};

std::vector<Flow> make_flows(const Arguments& arguments) {
  const auto sources = arguments.list("from");
  if (sources.empty()) arguments.fail("--from is empty");
  const auto first = static_cast<uint16_t>(arguments.number("first-port"));
  std::vector<Flow> flows(arguments.number("flows"));
  for (size_t i = 0; i < flows.size(); ++i) {
    flows[i].address = sources[i % sources.size()];
    flows[i].port = static_cast<uint16_t>(first + i / sources.size());
  }
  return flows;
}

void open_flow(Flow& flow, const SocketAddress& to) {
  const SocketAddress from = make_address(flow.address, flow.port);
  flow.fd = open_server(from, SOCK_DGRAM | SOCK_NONBLOCK);
  const int bytes = 1 << 20;
  setsockopt(flow.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
  if (connect(flow.fd, to.get(), to.bytes) != 0) die("connect");
}

/// Asks every flow of the batch that has no answer yet; returns how many stay without.
size_t ask_batch(std::span<Flow> batch) {
  std::vector<pollfd> waiting;
  for (Flow& flow : batch) {
    const bool ask = flow.answer.empty();
    if (ask) (void)send(flow.fd, "WHO", 3, 0);
    waiting.push_back({.fd = ask ? flow.fd : -1, .events = POLLIN, .revents = 0});
  }
  size_t open = 0;
  for (const pollfd& entry : waiting) open += entry.fd >= 0;
  const uint64_t deadline = now_ns() + answer_patience_ms * 1'000'000ull;
  while (open > 0 && now_ns() < deadline) {
    if (poll(waiting.data(), waiting.size(), 100) <= 0) continue;
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      char text[128];
      const ssize_t received = recv(batch[i].fd, text, sizeof(text), 0);
      if (received <= 0) continue;  // an ICMP error; the next round asks again
      batch[i].answer.assign(text, static_cast<size_t>(received));
      waiting[i].fd = -1;
      --open;
    }
  }
  return open;
}

nlohmann::json ask_who(std::vector<Flow>& flows, const SocketAddress& to, const std::string& out) {
  uint64_t unanswered = 0, asked_again = 0;
  for (size_t begin = 0; begin < flows.size(); begin += who_batch) {
    const std::span<Flow> batch =
        std::span(flows).subspan(begin, std::min(who_batch, flows.size() - begin));
    for (Flow& flow : batch) open_flow(flow, to);
    size_t open = ask_batch(batch);
    for (int attempt = 0; attempt < 2 && open > 0; ++attempt) {
      asked_again += open;
      open = ask_batch(batch);
    }
    unanswered += open;
    for (Flow& flow : batch) close(flow.fd);
  }
  std::map<std::string, uint64_t> stacks;
  std::ofstream file(out);
  for (const Flow& flow : flows) {
    file << flow.address << ' ' << flow.port << ' '
         << (flow.answer.empty() ? std::string("- -") : flow.answer) << '\n';
    if (!flow.answer.empty()) ++stacks[flow.answer.substr(0, flow.answer.find(' '))];
  }
  return {{"flows", flows.size()},
          {"unanswered", unanswered},
          {"asked_again", asked_again},
          {"stacks", stacks}};
}

struct EchoCount {
  uint64_t intact = 0, corrupt = 0, strange = 0;
};

size_t echo_bytes(uint64_t sequence) {
  return 8 + stream_word(5, sequence) % (datagram_bytes_max - 7);
}

/// Datagram `sequence`: its number, then stream bytes that depend on it.
std::span<uint8_t> write_datagram(uint64_t sequence, std::span<uint8_t> buffer) {
  const auto datagram = buffer.first(echo_bytes(sequence));
  fill_stream(sequence, 0, datagram);
  std::memcpy(datagram.data(), &sequence, sizeof(sequence));
  return datagram;
}

/// Takes one answer if there is one; true when it was an answer still awaited.
bool take_answer(int fd, std::vector<bool>& awaited, EchoCount& count) {
  uint8_t got[2048], wanted[2048];
  const ssize_t received = recv(fd, got, sizeof(got), MSG_DONTWAIT);
  if (received < 0) return false;
  uint64_t sequence = 0;
  std::memcpy(&sequence, got, std::min<size_t>(sizeof(sequence), static_cast<size_t>(received)));
  if (received < 8 || sequence >= awaited.size() || !awaited[sequence]) {
    ++count.strange;
    return false;
  }
  const auto expected = write_datagram(sequence, wanted);
  const bool same = expected.size() == static_cast<size_t>(received) &&
                    std::memcmp(got, expected.data(), expected.size()) == 0;
  ++(same ? count.intact : count.corrupt);
  awaited[sequence] = false;
  return true;
}

nlohmann::json echo(std::vector<Flow>& flows, const SocketAddress& to, uint64_t datagrams,
                    uint64_t window) {
  std::vector<pollfd> readable;
  for (Flow& flow : flows) {
    open_flow(flow, to);
    readable.push_back({.fd = flow.fd, .events = POLLIN, .revents = 0});
  }
  std::vector<bool> awaited(datagrams, false);
  EchoCount count;
  uint64_t sent = 0, refused = 0, open = 0, lost = 0;
  uint8_t buffer[2048];
  while (sent < datagrams || open > 0) {
    while (sent < datagrams && open < window) {
      const auto datagram = write_datagram(sent, buffer);
      const int fd = flows[sent % flows.size()].fd;
      if (send(fd, datagram.data(), datagram.size(), 0) < 0) {
        if (errno == EAGAIN) break;
        ++refused;  // an ICMP error that an earlier datagram earned; reading it cleared it
        continue;
      }
      awaited[sent++] = true;
      ++open;
    }
    if (poll(readable.data(), readable.size(), answer_patience_ms) == 0) {
      lost += open;  // nothing came for a while: what is open will not come
      open = 0;
    }
    for (const pollfd& entry : readable) {
      while (entry.revents != 0 && take_answer(entry.fd, awaited, count)) open -= open > 0;
    }
  }
  return {{"sent", sent}, {"intact", count.intact},   {"corrupt", count.corrupt},
          {"lost", lost}, {"strange", count.strange}, {"refused", refused}};
}

}  // namespace
}  // namespace sluice::e2e

int main(int argc, char** argv) {
  using namespace sluice::e2e;
  const Arguments arguments(argc, argv);
  raise_file_limit();
  const SocketAddress to =
      make_address(arguments.text("to"), static_cast<uint16_t>(arguments.number("port")));
  std::vector<Flow> flows = make_flows(arguments);
  const bool who = arguments.text("way") == "who";
  const nlohmann::json report =
      who ? ask_who(flows, to, arguments.text("out", "/dev/null"))
          : echo(flows, to, arguments.number("datagrams"), arguments.number("window", "64"));
  std::printf("%s\n", report.dump().c_str());
}
