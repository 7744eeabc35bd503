#include "perf/flow_source.h"

#include <fcntl.h>
#include <immintrin.h>
#include <rte_mbuf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "perf/flow_order.h"

namespace sluice::perf {
namespace {

constexpr uint64_t status_magic = 0x73'6c'75'69'63'65'30'31;
constexpr auto relaxed = std::memory_order_relaxed;

void bump(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.store(counter.load(relaxed) + by, relaxed);
}

Result<SourceStatus*> map_status(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail("cannot open the status file " + path);
  void* memory = MAP_FAILED;
  if (ftruncate(fd, 4096) == 0) {
    memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  }
  close(fd);
  if (memory == MAP_FAILED) return fail("cannot map the status file " + path);
  return static_cast<SourceStatus*>(memory);
}

void copy_lines(uint8_t* to, const uint8_t* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 32) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at)));
  }
}

void set_bytes(rte_mbuf* frame, uint16_t bytes) {
  frame->data_len = bytes;
  frame->pkt_len = bytes;
}

}  // namespace

Result<SourceOptions> FlowSource::parse_options(const std::string& text) {
  SourceOptions options;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    const auto number = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    FlowPlan& plan = options.plan;
    if (key == "flows" && number > 0) {
      plan.flows = number;
    } else if (key == "bytes" && (value == "imix" || (number >= 64 && number <= 1514))) {
      plan.frame_bytes = value == "imix" ? uint16_t{0} : static_cast<uint16_t>(number);
    } else if (key == "proto" && (value == "udp" || value == "tcp")) {
      plan.protocol = value == "udp" ? protocol_udp : protocol_tcp;
    } else if (key == "family" && (value == "4" || value == "6")) {
      plan.family = value == "4" ? Family::v4 : Family::v6;
    } else if (key == "listeners" && number > 0 && number <= 10'000) {
      plan.listeners = number;
    } else if (key == "zipf") {
      plan.zipf = std::strtod(value.c_str(), nullptr);
    } else if (key == "learn") {
      plan.learns = number != 0;
    } else if (key == "steer") {
      options.steered = number != 0;
    } else if (key == "status") {
      options.status_file = value;
    } else {
      return fail("source: \"" + word + "\" is not an option, or out of range");
    }
  }
  if (options.status_file.empty()) return fail("source: status=FILE is missing");
  return options;
}

FlowSource::FlowSource(const SourceOptions& options)
    : options_(options),
      templates_(options.plan),
      // Opened in another order than used: else the records would lie in the order of use.
      order_(shuffle_positions(options.plan.flows, options.plan.seed)),
      done_(options.plan.flows),
      owner_(options.plan.flows) {}

Result<std::unique_ptr<FlowSource>> FlowSource::make(const SourceOptions& options) {
  auto status = map_status(options.status_file);
  if (!status) return std::unexpected(status.error());
  std::unique_ptr<FlowSource> source(new FlowSource(options));
  source->status_ = *status;
  source->status_->flows.store(options.plan.flows);
  source->status_->phase.store(static_cast<uint64_t>(source->phase_.load()));
  source->status_->magic.store(status_magic);
  return source;
}

Status FlowSource::attach() {
  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(options_.ethdevs[0], &info) != 0) return fail("cannot ask for queues");
  if (info.nb_rx_queues > source_queues_max) return fail("more RX queues than the source has");
  queues_ = std::vector<Queue>(info.nb_rx_queues);
  for (uint32_t i = 0; i < queues_.size(); ++i) {
    const uint64_t flows = options_.plan.flows;
    queues_[i].teach_from = queues_[i].teach_at = static_cast<uint32_t>(flows * i / queues_.size());
    queues_[i].teach_to = static_cast<uint32_t>(flows * (i + 1) / queues_.size());
  }
  if (!options_.plan.learns) {
    // Any queue may have any flow where nothing owns them.
    for (size_t i = 0; i < owner_.size(); ++i) owner_[i] = static_cast<uint8_t>(i % queues_.size());
    start_running();
  }
  for (unsigned port = 0; port < 2; ++port) {
    if (Status status = add_queues(port, options_.ethdevs[port]); !status) return status;
  }
  return {};
}

Status FlowSource::add_queues(unsigned port, uint16_t ethdev) {
  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(ethdev, &info) != 0) return fail("cannot ask for queues");
  if (info.nb_rx_queues != queues_.size()) {
    return fail("port " + std::to_string(port) + " has another number of queues");
  }
  for (uint16_t queue = 0; queue < info.nb_rx_queues; ++queue) {
    if (rte_eth_add_rx_callback(ethdev, queue, on_rx, this) == nullptr) {
      return fail("cannot add an RX callback");
    }
  }
  if (phase_ == Phase::running) return {};
  for (uint16_t queue = 0; queue < info.nb_tx_queues; ++queue) {
    const auto* callback = rte_eth_add_tx_callback(ethdev, queue, on_tx, this);
    if (callback == nullptr) return fail("cannot add a TX callback");
    tx_callbacks_.push_back({ethdev, queue, callback});
  }
  return {};
}

void FlowSource::drop_tx_callbacks() {
  // Their few bytes stay: a burst may be inside.
  for (const auto& [ethdev, queue, callback] : tx_callbacks_) {
    rte_eth_remove_tx_callback(ethdev, queue, callback);
  }
  tx_callbacks_.clear();
}

void FlowSource::start_running() {
  templates_.finish();
  assign_flows();
  for (Queue& queue : queues_) {
    const auto rounds =
        static_cast<uint32_t>(queue.order.empty() ? options_.plan.flows : queue.order.size());
    queue.sides[0] = {0, templates_.client(0)};
    queue.sides[1] = {rounds / 2, templates_.backend(0)};
  }
  phase_.store(Phase::running, std::memory_order_release);
}

/// Which flows each queue gives, and in which order.
void FlowSource::assign_flows() {
  const FlowPlan& plan = options_.plan;
  if (plan.zipf == 0 && !options_.steered && queues_.size() == 1) return;
  std::vector<uint32_t> all(plan.flows);
  std::iota(all.begin(), all.end(), 0u);
  if (plan.zipf > 0) all = draw_zipf(plan.flows, plan.zipf, plan.seed);
  for (size_t i = 0; i < queues_.size(); ++i) {
    std::vector<uint32_t>& order = queues_[i].order;
    if (options_.steered) {
      std::ranges::copy_if(all, std::back_inserter(order),
                           [&](uint32_t position) { return owner_[position] == i; });
    } else {
      order = all;
      std::ranges::rotate(order,
                          order.begin() + static_cast<long>(all.size() * i / queues_.size()));
    }
  }
}

Phase FlowSource::poll_phase() {
  const uint64_t flows = options_.plan.flows;
  const Phase phase = phase_.load(std::memory_order_acquire);
  if (phase == Phase::opening && status_->learned.load(relaxed) == flows) {
    phase_.store(Phase::answering, std::memory_order_release);
  } else if (phase == Phase::answering && status_->confirmed.load(relaxed) == flows) {
    phase_.store(Phase::waiting, std::memory_order_release);
    drop_tx_callbacks();
    usleep(10'000);  // bursts under way end
    start_running();
  }
  status_->phase.store(static_cast<uint64_t>(phase_.load()));
  return phase_.load();
}

uint16_t FlowSource::on_rx(uint16_t ethdev, uint16_t queue, rte_mbuf* frames[], uint16_t count,
                           uint16_t, void* context) {
  auto& source = *static_cast<FlowSource*>(context);
  const unsigned port = ethdev == source.options_.ethdevs[0] ? 0 : 1;
  if (source.phase_.load(std::memory_order_acquire) == Phase::running) [[likely]] {
    return source.run(source.queues_[queue], queue, port, frames, count);
  }
  return source.teach(source.queues_[queue], port, frames, count);
}

uint16_t FlowSource::run(Queue& queue, unsigned number, unsigned port, rte_mbuf* frames[],
                         uint16_t count) {
  const size_t stride = templates_.template_bytes();
  const bool ordered = !queue.order.empty();
  if (!ordered && options_.steered) [[unlikely]] {  // it owns no flow
    rte_pktmbuf_free_bulk(frames, count);
    return 0;
  }
  const auto rounds = ordered ? static_cast<uint32_t>(queue.order.size()) : options_.plan.flows;
  Side& side = queue.sides[port];
  uint32_t at = side.at;
  constexpr uint32_t ahead = 16;
  for (uint16_t i = 0; i < count; ++i) {
    const uint8_t* frame = side.frames + (ordered ? queue.order[at] : at) * stride;
    if (ordered && at + ahead < rounds)
      _mm_prefetch(side.frames + queue.order[at + ahead] * stride, _MM_HINT_T0);
    copy_lines(rte_pktmbuf_mtod(frames[i], uint8_t*), frame, stride);
    set_bytes(frames[i], templates_.frame_bytes(frame));
    at = at + 1 == rounds ? 0 : at + 1;
  }
  side.at = at;
  bump(status_->queues[number].packets[port], count);
  return count;
}

/// The learning frames of this phase, if they are this port's to send; all others are freed.
uint16_t FlowSource::teach(Queue& queue, unsigned port, rte_mbuf* frames[], uint16_t count) {
  const Phase phase = phase_.load(relaxed);
  const bool opens = phase == Phase::opening && port == 0;
  const bool answers = phase == Phase::answering && port == 1;
  uint16_t used = 0;
  const auto wanted = static_cast<uint8_t>(opens ? 1 : 2);
  uint32_t looked = 0;
  const bool any = queue.teach_from < queue.teach_to;
  while (any && (opens || answers) && used < count && looked < 4096) {
    const uint32_t position = order_[queue.teach_at];
    queue.teach_at = queue.teach_at + 1 == queue.teach_to ? queue.teach_from : queue.teach_at + 1;
    ++looked;
    if (done_[position] >= wanted) continue;
    auto* data = rte_pktmbuf_mtod(frames[used], uint8_t*);
    opens ? templates_.write_opening(position, data) : templates_.write_answer(position, data);
    set_bytes(frames[used++], learning_frame_bytes);
  }
  if (used < count) rte_pktmbuf_free_bulk(frames + used, count - used);
  return used;
}

uint16_t FlowSource::on_tx(uint16_t ethdev, uint16_t queue, rte_mbuf* frames[], uint16_t count,
                           void* context) {
  auto& source = *static_cast<FlowSource*>(context);
  const unsigned port = ethdev == source.options_.ethdevs[0] ? 0 : 1;
  for (uint16_t i = 0; i < count; ++i) source.observe(port, queue, frames[i]);
  return count;
}

/// A flow's frames leave on one queue only, so its records have one writer.
void FlowSource::observe(unsigned port, uint16_t queue, rte_mbuf* frame) {
  const std::span<const uint8_t> bytes(rte_pktmbuf_mtod(frame, uint8_t*), frame->data_len);
  const bool at_backends = port == 1;
  const int64_t position = at_backends ? templates_.learn(bytes) : templates_.confirm(bytes);
  if (position < 0) {
    this->count(status_->wrong);
    return;
  }
  uint8_t& done = done_[static_cast<size_t>(position)];
  const auto reached = static_cast<uint8_t>(at_backends ? 1 : 2);
  if (done >= reached) return;
  done = reached;
  if (at_backends) owner_[static_cast<size_t>(position)] = static_cast<uint8_t>(queue);
  this->count(at_backends ? status_->learned : status_->confirmed);
}

void FlowSource::count(std::atomic<uint64_t>& counter) const {
  queues_.size() > 1 ? static_cast<void>(counter.fetch_add(1, relaxed)) : bump(counter);
}

}  // namespace sluice::perf
