#include "perf/exchange.h"

#include <fmt/format.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "dataplane/base/clock.h"
#include "nic/buffer_pool.h"
#include "perf/flow_order.h"

namespace sluice::perf {
namespace {

constexpr uint32_t buffers = 2048;
constexpr uint64_t lost_ns = 100'000'000;  // learning frames that are not back by then
constexpr double debt_seconds = 50e-6;     // who is later than that sends less, not faster
constexpr uint64_t wake_losses_max = 5;
constexpr uint64_t stuck_ns = 30'000'000'000;
constexpr uint32_t learning_window = 256;     // fewer than any ring holds: nothing is lost
constexpr uint32_t learning_block = 1 << 15;  // so few that none expires before it is answered
constexpr uint32_t zipf_ahead = 16;

uint64_t to_ns(uint64_t cycles) {
  return static_cast<uint64_t>(static_cast<double>(cycles) * 1e9 /
                               static_cast<double>(cycles_per_second()));
}

std::span<const uint8_t> bytes_of(const rte_mbuf* frame) {
  return {rte_pktmbuf_mtod(frame, const uint8_t*), frame->data_len};
}

void set_bytes(rte_mbuf* frame, uint16_t bytes) {
  frame->data_len = bytes;
  frame->pkt_len = bytes;
}

}  // namespace

uint64_t TrialResult::wrong() const {
  uint64_t sum = 0;
  for (size_t i = static_cast<size_t>(Arrival::foreign); i < arrivals.size(); ++i) {
    sum += arrivals[i];
  }
  return sum;
}

Result<std::unique_ptr<Exchange>> Exchange::make(const FlowPlan& plan, nic::PortSet& ports) {
  const auto pool = nic::make_buffer_pool({.name = "probes", .buffers = buffers, .socket = 0});
  if (!pool) return fail(pool.error().message);
  return std::unique_ptr<Exchange>(new Exchange(plan, ports, *pool));
}

Exchange::Exchange(const FlowPlan& plan, nic::PortSet& ports, rte_mempool* pool)
    : plan_(plan),
      ports_(ports),
      pool_(pool),
      templates_(plan),
      order_(shuffle_positions(plan.flows, plan.seed)),
      random_(plan.seed) {
  const nic::WorkerPorts& queues = nic::dpdk_ports(ports).worker_ports(0);
  for (const nic::RxQueue& queue : queues.rx) sides_.at(queue.port).rx = queue;
  for (uint8_t port = 0; port < 2; ++port) sides_[port].tx = queues.tx[port];
}

Exchange::~Exchange() {
  for (Side& side : sides_) rte_pktmbuf_free_bulk(side.waiting.data(), side.waiting_count);
  rte_mempool_free(pool_);
}

Status Exchange::wait_for_links() {
  for (const uint64_t until = monotonic_ns_now() + 60'000'000'000;;) {
    // A client's first poll hands the far end the buffers that it sends in.
    drop_strays();
    if (ports_.statistics(0).link_up && ports_.statistics(1).link_up) return {};
    if (monotonic_ns_now() > until) return fail("no link to the device under test after a minute");
    usleep(2'000);
  }
}

Status Exchange::open() {
  if (Status status = wait_for_links(); !status) return status;
  done_.assign(plan_.flows, 0);
  for (uint32_t from = 0; from < plan_.flows; from += learning_block) {
    const Block block = {from, std::min(plan_.flows, from + learning_block), from};
    for (const bool answers : {false, true}) {
      if (Status status = learn(block, answers); !status) return status;
    }
  }
  templates_.finish();
  if (Status status = await_buffers(); !status) return status;
  fill_buffers();
  arrivals_ = std::make_unique<Arrivals>(templates_);
  order_ =
      plan_.zipf > 0 ? draw_zipf(plan_.flows, plan_.zipf, plan_.seed) : std::vector<uint32_t>();
  sides_[0].at = 0;
  sides_[1].at = (plan_.zipf > 0 ? zipf_draws : plan_.flows) / 2;
  return {};
}

/// Learning frames of a block, as many under way as every ring holds; again what got lost.
Status Exchange::learn(Block block, bool answers) {
  uint32_t under_way = 0;
  uint64_t quiet_since = monotonic_ns_now(), advanced = quiet_since;
  while (block.learned < block.to - block.from) {
    if (under_way == 0 && block.at == block.to) {
      block.at = block.from;
      resent_ = true;
    }
    if (under_way < learning_window) {
      const uint32_t room = learning_window - under_way;
      under_way += send_learning(block, answers, std::min<uint32_t>(burst_max, room));
    }
    const uint32_t before = block.learned;
    const uint32_t came = take_learned(block, answers);
    under_way -= std::min(came, under_way);
    const uint64_t now = monotonic_ns_now();
    if (block.learned > before) advanced = now;
    if (came > 0) quiet_since = now;
    if (now > quiet_since + lost_ns) {
      under_way = 0;
      quiet_since = now;
    }
    if (now > advanced + stuck_ns || wrong_ > 0) {
      return fail(fmt::format(
          "{} of {} flows were {} through the device under test, {} packets "
          "came back wrong",
          block.from + block.learned, plan_.flows, answers ? "answered" : "opened", wrong_));
    }
  }
  return {};
}

/// Sends at most `count` flows that are not done, from where it stopped to the block's last.
uint32_t Exchange::send_learning(Block& block, bool answers, uint32_t count) {
  const Side& side = sides_[answers ? 1 : 0];
  uint32_t sent = 0;
  for (; sent < count && block.at < block.to; ++block.at) {
    const uint32_t position = order_[block.at];
    if (done_[position] > (answers ? 1 : 0)) continue;
    rte_mbuf* frame = rte_pktmbuf_alloc(pool_);
    if (frame == nullptr) return sent;
    auto* data = rte_pktmbuf_mtod(frame, uint8_t*);
    answers ? templates_.write_answer(position, data) : templates_.write_opening(position, data);
    set_bytes(frame, learning_frame_bytes);
    if (nic::tx_burst(side.tx, &frame, 1) == 0) {
      rte_pktmbuf_free(frame);
      return sent;
    }
    ++sent;
  }
  return sent;
}

/// How many learning frames came back.
uint32_t Exchange::take_learned(Block& block, bool answers) {
  std::array<rte_mbuf*, burst_max> frames;
  const uint16_t count = nic::rx_burst(sides_[answers ? 0 : 1].rx, frames.data(), burst_max);
  for (uint16_t i = 0; i < count; ++i) {
    const int64_t position =
        answers ? templates_.confirm(bytes_of(frames[i])) : templates_.learn(bytes_of(frames[i]));
    if (position < 0) {
      ++wrong_;
    } else if (uint8_t& done = done_[static_cast<size_t>(position)]; done == (answers ? 1 : 0)) {
      ++done;
      ++block.learned;
    }
  }
  if (count > 0) rte_pktmbuf_free_bulk(frames.data(), count);
  return count;
}

/// Devices that copy nothing may still hold learning frames that were given up.
Status Exchange::await_buffers() {
  for (const uint64_t until = monotonic_ns_now() + stuck_ns;;) {
    drop_strays();
    if (rte_mempool_avail_count(pool_) == buffers) return {};
    if (monotonic_ns_now() > until) return fail("the device under test keeps packets for itself");
  }
}

/// Learning frames are overwritten: every buffer of the pool holds the filler again.
void Exchange::fill_buffers() {
  rte_mempool_obj_iter(
      pool_,
      [](rte_mempool*, void*, void* object, unsigned) {
        const auto* frame = static_cast<rte_mbuf*>(object);
        auto* data = static_cast<uint8_t*>(frame->buf_addr) + RTE_PKTMBUF_HEADROOM;
        for (size_t at = 0; at < probe_frame_bytes_max; ++at) {
          data[at] = ProbeFormat::filler_at(at);
        }
      },
      nullptr);
}

void Exchange::build(unsigned port, uint16_t count) {
  Side& side = sides_[port];
  if (rte_pktmbuf_alloc_bulk(pool_, side.waiting.data(), count) != 0) return;
  const bool from_backend = port == 1;
  SequenceLedger& ledger = arrivals_->ledger(from_backend);
  const bool zipf = !order_.empty();
  const uint32_t rounds = zipf ? zipf_draws : plan_.flows;
  const uint32_t stamp = stamp_of(cycles_now());
  for (uint16_t i = 0; i < count; ++i) {
    const uint32_t flow = zipf ? order_[side.at] : side.at;
    if (zipf && side.at + zipf_ahead < rounds) {
      const uint32_t later = order_[side.at + zipf_ahead];
      _mm_prefetch(from_backend ? templates_.backend(later) : templates_.client(later),
                   _MM_HINT_T0);
      ledger.prefetch(later);
    }
    const uint8_t* from = from_backend ? templates_.backend(flow) : templates_.client(flow);
    auto* data = rte_pktmbuf_mtod(side.waiting[i], uint8_t*);
    std::memcpy(data, from, templates_.template_bytes());
    const uint16_t bytes = templates_.frame_bytes(from);
    arrivals_->format().write(data, bytes, {flow, from_backend, ledger.next(flow), stamp});
    set_bytes(side.waiting[i], bytes);
    side.at = side.at + 1 == rounds ? 0 : side.at + 1;
  }
  side.waiting_count = count;
}

/// Sends what waits. What the device does not take waits on (`keeps`), or was refused.
void Exchange::flush(unsigned port, bool keeps, TrialResult& result) {
  Side& side = sides_[port];
  const uint16_t taken = nic::tx_burst(side.tx, side.waiting.data(), side.waiting_count);
  result.sent += taken;
  const auto left = static_cast<uint16_t>(side.waiting_count - taken);
  std::copy_n(side.waiting.begin() + taken, left, side.waiting.begin());
  side.waiting_count = left;
  ++result.bursts;
  result.blocked += left > 0 ? 1 : 0;
  if (keeps) return;
  result.refused += left;
  // From the last one on, so that numbers of one flow go back in order.
  while (side.waiting_count > 0) take_back(side.waiting[--side.waiting_count], port == 1);
}

void Exchange::take_back(rte_mbuf* frame, bool from_backend) {
  Probe probe;
  arrivals_->format().read(rte_pktmbuf_mtod(frame, const uint8_t*), probe);
  arrivals_->ledger(from_backend).take_back(probe.flow);
  rte_pktmbuf_free(frame);
}

uint16_t Exchange::receive(unsigned port, TrialResult& result) {
  std::array<rte_mbuf*, burst_max> frames;
  const uint16_t count = nic::rx_burst(sides_[port].rx, frames.data(), burst_max);
  if (count == 0) return 0;
  const uint32_t now = stamp_of(cycles_now());
  for (uint16_t i = 0; i < count; ++i) arrivals_->expect(bytes_of(frames[i]));
  for (uint16_t i = 0; i < count; ++i) {
    Probe probe;
    const Arrival arrival = arrivals_->judge(port, bytes_of(frames[i]), probe);
    // A learning frame that was given up and sent again: AF_XDP keeps some until the next is sent.
    if (arrival == Arrival::corrupt && resent_ && templates_.is_learning(bytes_of(frames[i])))
      continue;
    ++result.arrivals[static_cast<size_t>(arrival)];
    if (arrival > Arrival::late) continue;
    ++result.received;
    result.latency_ns.add(to_ns(cycles_between(probe.stamp, now)));
  }
  rte_pktmbuf_free_bulk(frames.data(), count);
  return count;
}

/// Until every packet is back, or nothing has come for a while.
void Exchange::drain(double patience_seconds, TrialResult& result) {
  const auto patience_ns = static_cast<uint64_t>(patience_seconds * 1e9);
  for (uint64_t quiet_since = monotonic_ns_now(); result.received < result.sent;) {
    const uint16_t came = static_cast<uint16_t>(receive(0, result) + receive(1, result));
    const uint64_t now = monotonic_ns_now();
    if (came > 0) quiet_since = now;
    if (now > quiet_since + patience_ns) return;
  }
}

/// What came since the last trial belongs to none.
void Exchange::drop_strays() {
  std::array<rte_mbuf*, burst_max> frames;
  for (const Side& side : sides_) {
    while (const uint16_t count = nic::rx_burst(side.rx, frames.data(), burst_max)) {
      rte_pktmbuf_free_bulk(frames.data(), count);
    }
  }
}

TrialResult Exchange::run(const Trial& trial) {
  TrialResult result;
  drop_strays();
  const auto hz = static_cast<double>(cycles_per_second());
  const bool paced = trial.packets_per_second > 0;
  const double per_cycle = trial.packets_per_second / hz;
  const auto debt_max =
      std::max<uint64_t>(burst_max, static_cast<uint64_t>(trial.packets_per_second * debt_seconds));
  const uint64_t began = cycles_now(), end = began + static_cast<uint64_t>(trial.seconds * hz);
  uint64_t before = began, now = began, longest = 0, emitted = 0;
  for (unsigned port = 0; now < end; port ^= 1) {
    uint64_t due = burst_max;
    if (paced) {
      due = static_cast<uint64_t>(static_cast<double>(now - began) * per_cycle) - emitted;
      if (due > debt_max) {
        result.skipped += due - debt_max;
        emitted += due - debt_max;
      }
      due = std::min<uint64_t>(due, burst_max);
    }
    Side& side = sides_[port];
    if (due > 0 && side.waiting_count == 0) build(port, static_cast<uint16_t>(due));
    emitted += side.waiting_count;
    if (side.waiting_count > 0) flush(port, !paced, result);
    receive(0, result);
    receive(1, result);
    before = std::exchange(now, cycles_now());
    longest = std::max(longest, now - before);
  }
  result.seconds = static_cast<double>(now - began) / hz;
  result.longest_gap_ns = to_ns(longest);
  for (unsigned port : {0u, 1u}) {
    Side& side = sides_[port];
    while (side.waiting_count > 0) take_back(side.waiting[--side.waiting_count], port == 1);
  }
  drain(trial.patience_seconds, result);
  return result;
}

TrialResult Exchange::wake(uint32_t count, uint32_t gap_us, double patience_seconds) {
  TrialResult result;
  const auto patience_ns = static_cast<uint64_t>(patience_seconds * 1e9);
  drop_strays();
  std::uniform_int_distribution<uint64_t> gaps_ns(uint64_t{gap_us} * 1000, uint64_t{gap_us} * 2000);
  const uint64_t began = monotonic_ns_now();
  for (uint32_t i = 0; i < count && result.sent - result.received <= wake_losses_max; ++i) {
    for (const uint64_t due = monotonic_ns_now() + gaps_ns(random_); monotonic_ns_now() < due;) {
      receive(0, result);
      receive(1, result);
    }
    build(i % 2, 1);
    flush(i % 2, false, result);
    const uint64_t until = monotonic_ns_now() + patience_ns;
    const uint64_t before = result.received;
    while (result.received == before && monotonic_ns_now() < until) {
      receive(0, result);
      receive(1, result);
    }
  }
  result.seconds = static_cast<double>(monotonic_ns_now() - began) * 1e-9;
  return result;
}

}  // namespace sluice::perf
