// PipelineHarness: runs one fuzz input through the packet path and checks what must always hold.
// An input is a little program: frames (raw, or made from templates that reach deep, then
// damaged), answers of backends, bursts, snapshot swaps, time. Two workers, tables of 32 flows.
// Anything that must not happen aborts the process.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tests/dataplane/pipeline_rig.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {

class PipelineHarness {
 public:
  /// Inputs beyond this many operations are cut: what matters is many inputs.
  static constexpr unsigned operations_max = 16;

  PipelineHarness();

  void run(std::span<const uint8_t> input);

 private:
  class Input;

  void make_variants();
  void make_templates();
  void use_variant(size_t number);
  void operate(Input& input);
  void add_raw(Input& input);
  void add_template(Input& input);
  void add_answer(Input& input);
  void damage(Bytes& frame, Input& input);
  void add(Bytes frame, uint8_t port, uint8_t flags);
  void deliver(Input& input);
  void pass_time(Input& input);
  void check(const std::vector<Outcome>& outcomes);
  void end();

  std::vector<std::shared_ptr<model::Snapshot>> variants_;
  std::vector<Bytes> templates_;
  std::unique_ptr<PipelineRig> rig_;
  size_t variant_ = 0;
  uint64_t revision_ = 1;
  std::vector<Arrival> burst_;
  Bytes came_;  // the frames of the burst before it was worked on, one behind the other
  std::vector<Bytes> sent_;  // the newest frames that left for backends
  size_t sent_turn_ = 0;
};

}  // namespace sluice::test
