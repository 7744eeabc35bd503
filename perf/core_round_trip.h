// How far two cores are from each other: the time that a cache line takes there and back.
#pragma once

#include <vector>

namespace sluice::perf {

/// Bounces one cache line between the calling thread and EAL lcore `lcore`, which has nothing else
/// to do. One figure per batch of a few hundred round trips, in nanoseconds.
std::vector<double> core_round_trips_ns(unsigned lcore);

}  // namespace sluice::perf
