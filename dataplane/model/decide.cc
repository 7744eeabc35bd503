#include "dataplane/model/decide.h"

#include "dataplane/base/byte_order.h"

namespace sluice::model {
namespace {

bool is_in(const Prefix& prefix, uint32_t source) {
  if (prefix.address.family != Family::v4) return false;
  const uint64_t differing = swap32(prefix.address.v4_raw() ^ source);
  return differing >> (32 - prefix.length) == 0;
}

bool is_in(const Prefix& prefix, const std::array<uint8_t, 16>& source) {
  if (prefix.address.family != Family::v6) return false;
  const uint8_t* network = prefix.address.bytes.data();
  const uint64_t high = __builtin_bswap64(load<uint64_t>(network) ^ load<uint64_t>(source.data()));
  const uint64_t low =
      __builtin_bswap64(load<uint64_t>(network + 8) ^ load<uint64_t>(source.data() + 8));
  if (prefix.length == 0) return true;
  if (prefix.length <= 64) return high >> (64 - prefix.length) == 0;
  return high == 0 && low >> (128 - prefix.length) == 0;
}

template <typename Address>
bool matches(const Rule& rule, const Address& source) {
  if (rule.sources.empty()) return true;
  for (const Prefix& prefix : rule.sources) {
    if (is_in(prefix, source)) return true;
  }
  return false;
}

/// The first rule that matches, in the order of the listener's routes; null when none does.
/// A rule without pools decides nothing and is passed over.
template <typename Tuple>
const Rule* find_rule(const Snapshot& snapshot, const Listener& listener, const Tuple& tuple,
                      Decision& decision) {
  for (const uint32_t route : listener.routes) {
    const std::vector<Rule>& rules = snapshot.routes[route].rules;
    for (size_t i = 0; i < rules.size(); ++i) {
      if (rules[i].pools.empty() || !matches(rules[i], tuple.source)) continue;
      decision.route = route;
      decision.rule = static_cast<uint32_t>(i);
      return &rules[i];
    }
  }
  return nullptr;
}

/// Bits 0..15 of the hash choose the pool, bits 32..63 the backend, so that one choice says
/// nothing about the other. Scaling by multiplication reaches all slots alike to within 2^-15.
uint32_t scale(uint64_t hash, size_t slots) {
  return static_cast<uint32_t>((hash >> 32) * slots >> 32);
}

template <typename Tuple>
Decision decide_for(const Snapshot& snapshot, const Listener& listener, const Tuple& tuple) {
  Decision decision;
  const Rule* rule = find_rule(snapshot, listener, tuple, decision);
  if (rule == nullptr) {
    decision.verdict = Verdict::no_rule;
    return decision;
  }
  decision.hash = decision_hash(snapshot.decision_key, tuple, listener.protocol);
  decision.slot = static_cast<uint32_t>(decision.hash) & (slot_count - 1);
  // Every weight 0: as if the first pool were empty.
  const PoolRef& chosen =
      rule->slots ? rule->pools[(*rule->slots)[decision.slot]] : rule->pools.front();
  decision.ref = chosen.ref;
  decision.pool = chosen.pool;
  const Pool& pool = snapshot.pools[chosen.pool];
  if (!rule->slots || pool.backends->empty()) {
    const bool rejects = pool.on_empty == OnEmpty::reject;
    decision.verdict = rejects ? Verdict::pool_empty_reject : Verdict::pool_empty;
    return decision;
  }
  decision.maglev_slot = scale(decision.hash, pool.backends->size());
  decision.backend = (*pool.backends)[decision.maglev_slot];
  return decision;
}

}  // namespace

Decision decide(const Snapshot& snapshot, const Listener& listener, const Tuple4& tuple) {
  return decide_for(snapshot, listener, tuple);
}

Decision decide(const Snapshot& snapshot, const Listener& listener, const Tuple6& tuple) {
  return decide_for(snapshot, listener, tuple);
}

}  // namespace sluice::model
