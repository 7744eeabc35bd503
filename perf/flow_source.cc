#include "perf/flow_source.h"

#include <fcntl.h>
#include <immintrin.h>
#include <rte_mbuf.h>
#include <sys/mman.h>
#include <unistd.h>

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
      done_(options.plan.flows) {}

Result<std::unique_ptr<FlowSource>> FlowSource::make(const SourceOptions& options) {
  auto status = map_status(options.status_file);
  if (!status) return std::unexpected(status.error());
  std::unique_ptr<FlowSource> source(new FlowSource(options));
  source->status_ = *status;
  if (!options.plan.learns) source->start_running();
  source->status_->flows.store(options.plan.flows);
  source->status_->phase.store(static_cast<uint64_t>(source->phase_.load()));
  source->status_->magic.store(status_magic);
  return source;
}

Status FlowSource::attach() {
  for (unsigned port = 0; port < 2; ++port) {
    const uint16_t ethdev = options_.ethdevs[port];
    if (rte_eth_add_rx_callback(ethdev, 0, on_rx, this) == nullptr) {
      return fail("cannot add an RX callback");
    }
    if (phase_ == Phase::running) continue;
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(ethdev, &info) != 0) return fail("cannot ask for TX queues");
    for (uint16_t queue = 0; queue < info.nb_tx_queues; ++queue) {
      const auto* callback = rte_eth_add_tx_callback(ethdev, queue, on_tx, this);
      if (callback == nullptr) return fail("cannot add a TX callback");
      tx_callbacks_.push_back({ethdev, queue, callback});
    }
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
  if (options_.plan.zipf > 0) {
    order_ = draw_zipf(options_.plan.flows, options_.plan.zipf, options_.plan.seed);
  }
  const auto rounds =
      options_.plan.zipf > 0 ? static_cast<uint32_t>(order_.size()) : options_.plan.flows;
  sides_[0] = {0, templates_.client(0)};
  sides_[1] = {rounds / 2, templates_.backend(0)};
  phase_.store(Phase::running, std::memory_order_release);
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

uint16_t FlowSource::on_rx(uint16_t ethdev, uint16_t, rte_mbuf* frames[], uint16_t count, uint16_t,
                           void* context) {
  auto& source = *static_cast<FlowSource*>(context);
  const unsigned port = ethdev == source.options_.ethdevs[0] ? 0 : 1;
  if (source.phase_.load(std::memory_order_acquire) == Phase::running) [[likely]] {
    return source.run(source.sides_[port], port, frames, count);
  }
  return source.teach(port, frames, count);
}

uint16_t FlowSource::run(Side& side, unsigned port, rte_mbuf* frames[], uint16_t count) {
  const size_t stride = templates_.template_bytes();
  const bool zipf = options_.plan.zipf > 0;
  const auto rounds = zipf ? static_cast<uint32_t>(order_.size()) : options_.plan.flows;
  uint32_t at = side.at;
  constexpr uint32_t ahead = 16;
  for (uint16_t i = 0; i < count; ++i) {
    const uint8_t* frame = side.frames + (zipf ? order_[at] : at) * stride;
    if (zipf && at + ahead < rounds)
      _mm_prefetch(side.frames + order_[at + ahead] * stride, _MM_HINT_T0);
    copy_lines(rte_pktmbuf_mtod(frames[i], uint8_t*), frame, stride);
    set_bytes(frames[i], templates_.frame_bytes(frame));
    at = at + 1 == rounds ? 0 : at + 1;
  }
  side.at = at;
  bump(status_->packets[port], count);
  return count;
}

/// The learning frames of this phase, if they are this port's to send; all others are freed.
uint16_t FlowSource::teach(unsigned port, rte_mbuf* frames[], uint16_t count) {
  const Phase phase = phase_.load(relaxed);
  const bool opens = phase == Phase::opening && port == 0;
  const bool answers = phase == Phase::answering && port == 1;
  uint16_t used = 0;
  const auto wanted = static_cast<uint8_t>(opens ? 1 : 2);
  uint32_t looked = 0;
  while ((opens || answers) && used < count && looked < 4096) {
    const uint32_t position = order_[teach_at_];
    teach_at_ = teach_at_ + 1 == order_.size() ? 0 : teach_at_ + 1;
    ++looked;
    if (done_[position] >= wanted) continue;
    auto* data = rte_pktmbuf_mtod(frames[used], uint8_t*);
    opens ? templates_.write_opening(position, data) : templates_.write_answer(position, data);
    set_bytes(frames[used++], learning_frame_bytes);
  }
  if (used < count) rte_pktmbuf_free_bulk(frames + used, count - used);
  return used;
}

uint16_t FlowSource::on_tx(uint16_t ethdev, uint16_t, rte_mbuf* frames[], uint16_t count,
                           void* context) {
  auto& source = *static_cast<FlowSource*>(context);
  const unsigned port = ethdev == source.options_.ethdevs[0] ? 0 : 1;
  for (uint16_t i = 0; i < count; ++i) source.observe(port, frames[i]);
  return count;
}

void FlowSource::observe(unsigned port, rte_mbuf* frame) {
  const std::span<const uint8_t> bytes(rte_pktmbuf_mtod(frame, uint8_t*), frame->data_len);
  const bool at_backends = port == 1;
  const int64_t position = at_backends ? templates_.learn(bytes) : templates_.confirm(bytes);
  if (position < 0) {
    bump(status_->wrong);
    return;
  }
  uint8_t& done = done_[static_cast<size_t>(position)];
  const auto reached = static_cast<uint8_t>(at_backends ? 1 : 2);
  if (done >= reached) return;
  done = reached;
  bump(at_backends ? status_->learned : status_->confirmed);
}

}  // namespace sluice::perf
