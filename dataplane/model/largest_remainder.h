// Largest remainder (Hamilton's method): divides `total` seats by weight so that every share is
// its exact quota rounded down or up. Cold; pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sluice::model {

/// One share per weight; they sum to `total` when any weight is > 0, else all are 0. Weight 0 gets
/// 0; a weight > 0 gets at least 1, taken from the largest share. Ties go to the earlier one.
/// At most `total` weights may be > 0. Total below 2^32.
///
/// When one weight rises, another share may still gain one seat by rounding; no method that keeps
/// to the quota is free of such paradoxes (Balinski and Young, 1982). Two weights never show it.
std::vector<uint32_t> largest_remainder(std::span<const uint32_t> weights, uint32_t total);

}  // namespace sluice::model
