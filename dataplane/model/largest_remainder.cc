#include "dataplane/model/largest_remainder.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

#include "dataplane/base/assert.h"

namespace sluice::model {
namespace {

/// Gives a seat to every weight > 0 that has none, each from the share that is largest then.
void ensure_one_seat(std::span<const uint32_t> weights, std::vector<uint32_t>& shares) {
  const auto lacks = [&](size_t i) { return weights[i] > 0 && shares[i] == 0; };
  std::vector<size_t> lacking;
  for (size_t i = 0; i < shares.size(); ++i) {
    if (lacks(i)) lacking.push_back(i);
  }
  if (lacking.empty()) return;
  // Ordered by share, then the earlier one first.
  using Donor = std::pair<uint32_t, size_t>;
  std::priority_queue<Donor> donors;
  for (size_t i = 0; i < shares.size(); ++i) donors.emplace(shares[i], shares.size() - i);
  for (const size_t i : lacking) {
    const auto [share, reversed] = donors.top();
    SLUICE_ASSERT(share > 1);
    donors.pop();
    shares[shares.size() - reversed] = share - 1;
    donors.emplace(share - 1, reversed);
    shares[i] = 1;
  }
}

}  // namespace

std::vector<uint32_t> largest_remainder(std::span<const uint32_t> weights, uint32_t total) {
  std::vector<uint32_t> shares(weights.size(), 0);
  const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  if (sum == 0) return shares;
  std::vector<std::pair<uint64_t, size_t>> remainders;  // largest first, then the earlier one
  uint32_t given = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const uint64_t product = uint64_t{weights[i]} * total;
    shares[i] = static_cast<uint32_t>(product / sum);
    given += shares[i];
    remainders.emplace_back(product % sum, weights.size() - i);
  }
  const uint32_t left = total - given;  // fewer than there are remainders above 0
  std::nth_element(remainders.begin(), remainders.begin() + left, remainders.end(),
                   std::greater<>());
  for (uint32_t i = 0; i < left; ++i) ++shares[weights.size() - remainders[i].second];
  ensure_one_seat(weights, shares);
  return shares;
}

}  // namespace sluice::model
