// Snapshots for the device under test: any number of listeners with two pools of backends each, as
// ctrl would publish them. Addresses are those of FlowTemplates.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/base/tuple.h"
#include "dataplane/model/snapshot.h"

namespace sluice::perf {

struct DutNet {
  uint32_t listeners = 1;
  uint32_t backends = 100;  // of each listener, half in each of two pools
  Family family = Family::v4;
  uint8_t protocol = protocol_udp;
  uint32_t ending_ticks = 0;  // how long ending TCP flows are kept; 0: the default
};

/// Makes snapshots that differ in the weights of every route; revisions count up.
class DutSnapshots {
 public:
  explicit DutSnapshots(const DutNet& net);

  /// The next one: `share` percent of each route to its first pool, the rest to the other.
  std::shared_ptr<const model::Snapshot> next(uint32_t share);

  /// The next one, marked by its revision in three tables: the backends' MAC address ends in its
  /// low 16 bits, new connections get the first pool and odd SNAT addresses when it is odd, the
  /// other pool and even addresses when it is even. A packet that shows two revisions was decided
  /// by a mixture.
  std::shared_ptr<const model::Snapshot> next_marked();

 private:
  void add_port(unsigned id, uint8_t mac_last);
  void set_snat_addresses(model::Port& port, uint32_t first, uint32_t step);
  void add_backends();
  uint32_t add_pool(uint32_t listener, uint32_t half);
  void add_listener(uint32_t number);

  DutNet net_;
  model::Snapshot snapshot_;
  uint16_t refs_ = 0;
};

}  // namespace sluice::perf
