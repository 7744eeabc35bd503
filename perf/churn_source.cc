#include "perf/churn_source.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <sstream>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"

namespace sluice::perf {
namespace {

constexpr uint32_t burst_packets = 32;
constexpr Step idle = Step::last_ack;  // of a live connection: nothing is under way
// A callback that took longer was interrupted: the kernel gave the core to somebody else.
constexpr uint64_t callback_cycles_max = 200'000;

struct NumberOption {
  const char* key;
  uint32_t ChurnOptions::* field;
  uint32_t max;
};
constexpr NumberOption number_options[] = {
    {"live", &ChurnOptions::live, 100'000'000},
    {"concurrent", &ChurnOptions::concurrent, 1u << 20},
    {"listeners", &ChurnOptions::listeners, 10'000},
    {"pings", &ChurnOptions::pings_in_burst, burst_packets - 1},
    {"delay_us", &ChurnOptions::delay_us, 1'000'000},
    {"patience_ms", &ChurnOptions::patience_ms, 60'000},
};

bool read_number(const std::string& key, const std::string& value, ChurnOptions& options) {
  char* end = nullptr;
  const unsigned long number = std::strtoul(value.c_str(), &end, 10);
  if (value.empty() || *end != '\0') return false;
  for (const NumberOption& option : number_options) {
    if (key != option.key || number > option.max) continue;
    options.*option.field = static_cast<uint32_t>(number);
    return true;
  }
  return false;
}

/// What must arrive after `step` of a connection that comes and goes.
Step after(Step step) { return static_cast<Step>(static_cast<unsigned>(step) + 1); }

}  // namespace

Result<ChurnOptions> ChurnSource::parse_options(const std::string& text) {
  ChurnOptions options;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "proto" && (value == "udp" || value == "tcp")) {
      options.protocol = value == "udp" ? protocol_udp : protocol_tcp;
    } else if (key == "family" && (value == "4" || value == "6")) {
      options.family = value == "4" ? Family::v4 : Family::v6;
    } else if (!read_number(key, value, options)) {
      return fail("churn: \"" + word + "\" is not an option, or out of range");
    }
  }
  if (!std::has_single_bit(options.concurrent)) {
    return fail("churn: concurrent must be a power of two");
  }
  if (options.listeners == 0) return fail("churn: listeners must be at least 1");
  return options;
}

ChurnSource::ChurnSource(const ChurnOptions& options)
    : options_(options),
      conversation_(options.family, options.protocol, options.listeners),
      delay_(options.delay_us * cycles_per_second() / 1'000'000),
      patience_(options.patience_ms * cycles_per_second() / 1'000),
      slots_(options.concurrent),
      free_slots_(options.concurrent),
      live_(options.live),
      live_next_(options.live, Step::syn) {
  for (Answers& answers : answers_) {
    // A connection has two answers under way at the most.
    answers.ring.resize(std::bit_ceil(4 * options.concurrent + 4 * burst_packets));
  }
  std::iota(free_slots_.rbegin(), free_slots_.rend(), 0u);
  for (uint32_t i = 0; i < slots_.size(); ++i) slots_[i].id = i;
}

Status ChurnSource::attach(std::array<uint16_t, 2> ethdevs) {
  ethdevs_ = ethdevs;
  for (const uint16_t ethdev : ethdevs) {
    if (rte_eth_add_rx_callback(ethdev, 0, on_rx, this) == nullptr ||
        rte_eth_add_tx_callback(ethdev, 0, on_tx, this) == nullptr) {
      return fail("cannot add the callbacks of the churn source");
    }
  }
  return {};
}

void ChurnSource::set_phase(ChurnPhase phase, uint32_t flood_in_burst) {
  flood_in_burst_.store(flood_in_burst, std::memory_order_relaxed);
  if (phase == ChurnPhase::ping) ping_target_.store(counters_.pings.get() + options_.live);
  phase_.store(phase, std::memory_order_release);
}

/// While the kernel lets somebody else run here, no time passes: patience is for the device.
void ChurnSource::pass_time() {
  const uint64_t now = cycles_now();
  clock_ += std::min(now - now_, cycles_per_second() / 1'000);
  now_ = now;
}

void ChurnSource::count_cycles(uint64_t begin) {
  counters_.cycles.add(std::min(cycles_now() - begin, callback_cycles_max));
}

uint16_t ChurnSource::on_rx(uint16_t ethdev, uint16_t, rte_mbuf* frames[], uint16_t count, uint16_t,
                            void* context) {
  auto& source = *static_cast<ChurnSource*>(context);
  source.pass_time();
  const uint16_t used = source.give(source.port_of(ethdev), frames, count);
  source.count_cycles(source.now_);
  return used;
}

uint16_t ChurnSource::on_tx(uint16_t ethdev, uint16_t, rte_mbuf* frames[], uint16_t count,
                            void* context) {
  auto& source = *static_cast<ChurnSource*>(context);
  source.pass_time();
  for (uint16_t i = 0; i < count; ++i) source.take(source.port_of(ethdev), frames[i]);
  source.count_cycles(source.now_);
  return count;
}

uint16_t ChurnSource::give(unsigned port, rte_mbuf* frames[], uint16_t count) {
  const ChurnPhase phase = phase_.load(std::memory_order_acquire);
  const bool floods = port == 0 && phase == ChurnPhase::churn;
  const uint32_t flood_share = floods ? flood_in_burst_.load(std::memory_order_relaxed) : 0;
  const auto flood = static_cast<uint16_t>(flood_share * count / burst_packets);
  const auto good = static_cast<uint16_t>(count - flood);
  uint16_t used = give_answers(port, frames, good);
  if (port == 0) {
    used = static_cast<uint16_t>(used + give_new(frames + used, good - used));
    fail_one_that_is_stuck();
  }
  for (uint16_t i = 0; i < flood; ++i) {
    send(frames[used++], {Kind::flood, Step::syn, flood_id_++});
    counters_.flooded.add(1);
  }
  if (used < count) rte_pktmbuf_free_bulk(frames + used, count - used);
  counters_.packets.add(used);
  return used;
}

uint16_t ChurnSource::give_answers(unsigned port, rte_mbuf* frames[], uint16_t count) {
  Answers& answers = answers_[port];
  uint16_t used = 0;
  for (; used < count && answers.head != answers.tail; ++used, ++answers.head) {
    const Answer& next = answers.ring[answers.head & (answers.ring.size() - 1)];
    if (next.due > clock_) break;
    std::memcpy(rte_pktmbuf_mtod(frames[used], uint8_t*), next.frame.data(), next.frame.size());
    frames[used]->data_len = next.bytes;
    frames[used]->pkt_len = next.bytes;
  }
  return used;
}

uint16_t ChurnSource::give_new(rte_mbuf* frames[], uint16_t count) {
  pings_left_ = options_.pings_in_burst;
  uint16_t used = 0;
  for (; used < count; ++used) {
    const std::optional<Message> message = next_message();
    if (!message) break;
    send(frames[used], *message);
  }
  return used;
}

void ChurnSource::send(rte_mbuf* frame, const Message& message) {
  const uint16_t bytes = conversation_.write(message, rte_pktmbuf_mtod(frame, uint8_t*));
  frame->data_len = bytes;
  frame->pkt_len = bytes;
}

std::optional<Message> ChurnSource::next_message() {
  switch (phase_.load(std::memory_order_relaxed)) {
    case ChurnPhase::pause:
      return {};
    case ChurnPhase::fill:
      return next_live();
    case ChurnPhase::churn:
      if (pings_left_ > 0 && options_.live > 0) {
        --pings_left_;
        if (const auto ping = next_ping()) return ping;
      }
      return next_connection();
    case ChurnPhase::ping:
      // As many as there are live connections, then nothing until set_phase().
      return counters_.pings.get() < ping_target_.load(std::memory_order_relaxed) ? next_ping()
                                                                                  : std::nullopt;
  }
  return {};
}

std::optional<Message> ChurnSource::next_live() {
  const bool enough_under_way = live_started_ - counters_.live.get() >= options_.concurrent;
  if (live_started_ == options_.live || enough_under_way) return {};
  return Message{Kind::live, Step::syn, live_started_++};
}

std::optional<Message> ChurnSource::next_ping() {
  if (counters_.pings.get() - counters_.pongs.get() >= options_.concurrent) return {};
  const uint32_t id = ping_at_;
  if (live_next_[id] != idle) return {};
  ping_at_ = id + 1 == options_.live ? 0 : id + 1;
  live_next_[id] = Step::ping;
  counters_.pings.add(1);
  return Message{Kind::live, Step::ping, id};
}

std::optional<Message> ChurnSource::next_connection() {
  if (free_slots_.empty()) return {};
  Slot& slot = slots_[free_slots_.back()];
  free_slots_.pop_back();
  slot = {0, clock_, slot.id + options_.concurrent, Step::syn, true};
  counters_.started.add(1);
  return Message{Kind::churn, Step::syn, slot.id};
}

/// One slot a burst: a connection that got no further is given up.
void ChurnSource::fail_one_that_is_stuck() {
  Slot& slot = slots_[checked_slot_];
  if (slot.busy && clock_ - slot.moved > patience_) {
    slot.busy = false;
    free_slots_.push_back(checked_slot_);
    counters_.failed.add(1);
  }
  checked_slot_ = (checked_slot_ + 1) & (options_.concurrent - 1);
}

void ChurnSource::take(unsigned port, const rte_mbuf* mbuf) {
  const std::span<const uint8_t> frame(rte_pktmbuf_mtod(mbuf, const uint8_t*), mbuf->data_len);
  counters_.seen.add(1);
  const auto seen =
      port == 1 ? conversation_.read_at_backend(frame) : conversation_.read_at_client(frame);
  if (!seen) {
    (conversation_.is_reset(frame) ? counters_.resets : counters_.wrong).add(1);
    return;
  }
  if (seen->is_mixed) counters_.mixed.add(1);
  if (seen->message.kind == Kind::churn) {
    take_churn(*seen, frame.data());
  } else if (seen->message.kind == Kind::live) {
    take_live(*seen, frame.data());
  } else {
    counters_.flood_passed.add(1);
  }
}

/// Backends see the same addresses from the first packet to the last.
bool ChurnSource::is_same_as_before(const Seen& seen, uint64_t& endpoints) {
  if (!is_from_client(seen.message.step)) return true;
  if (seen.message.step == Step::syn) endpoints = seen.endpoints;
  return endpoints == seen.endpoints;
}

void ChurnSource::take_churn(const Seen& seen, const uint8_t* frame) {
  const Step step = seen.message.step;
  Slot& slot = slots_[seen.message.id & (options_.concurrent - 1)];
  if (!slot.busy || slot.id != seen.message.id) {
    counters_.late.add(1);
    return;
  }
  if (step != slot.next || !is_same_as_before(seen, slot.endpoints)) {
    counters_.wrong.add(1);
    return;
  }
  slot.next = after(step);
  slot.moved = clock_;
  const bool is_tcp = conversation_.is_tcp();
  if (step == (is_tcp ? Step::ack : Step::syn_ack)) counters_.opened.add(1);
  if (step == (is_tcp ? Step::last_ack : Step::syn_ack)) return complete(slot);
  if (step == Step::ack) return;  // the request follows by itself
  answer(frame, seen.message, after(step));
  if (step == Step::syn_ack) answer(frame, seen.message, Step::request);
}

void ChurnSource::complete(Slot& slot) {
  slot.busy = false;
  free_slots_.push_back(slot.id & (options_.concurrent - 1));
  counters_.completed.add(1);
}

void ChurnSource::take_live(const Seen& seen, const uint8_t* frame) {
  const auto [kind, step, id] = seen.message;
  if (id >= live_.size() || step != live_next_[id] || !is_same_as_before(seen, live_[id])) {
    counters_.wrong.add(1);
    return;
  }
  const bool opens = step == (conversation_.is_tcp() ? Step::ack : Step::syn_ack);
  if (opens || step == Step::pong) {
    live_next_[id] = idle;
    (opens ? counters_.live : counters_.pongs).add(1);
    return;
  }
  live_next_[id] = after(step);
  answer(frame, seen.message, after(step));
}

void ChurnSource::answer(const uint8_t* frame, Message message, Step step) {
  message.step = step;
  Answers& answers = answers_[is_from_client(step) ? 0 : 1];
  SLUICE_ASSERT(answers.tail - answers.head < answers.ring.size());
  Answer& next = answers.ring[answers.tail++ & (answers.ring.size() - 1)];
  next.due = clock_ + delay_;
  next.bytes = conversation_.answer(frame, message, next.frame.data());
}

}  // namespace sluice::perf
