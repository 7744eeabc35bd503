#include "nic/rss.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace sluice::nic {
namespace {

constexpr uint64_t hashed_types = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
                                  RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;

std::vector<uint16_t> read_reta(uint16_t ethdev, unsigned slots) {
  std::vector<rte_eth_rss_reta_entry64> groups((slots + RTE_ETH_RETA_GROUP_SIZE - 1) /
                                               RTE_ETH_RETA_GROUP_SIZE);
  for (auto& group : groups) group.mask = ~uint64_t{0};
  if (rte_eth_dev_rss_reta_query(ethdev, groups.data(), static_cast<uint16_t>(slots)) != 0) {
    return {};
  }
  std::vector<uint16_t> reta(slots);
  for (unsigned slot = 0; slot < slots; ++slot) {
    reta[slot] = groups[slot / RTE_ETH_RETA_GROUP_SIZE].reta[slot % RTE_ETH_RETA_GROUP_SIZE];
  }
  return reta;
}

void write_reta(uint16_t ethdev, unsigned slots, unsigned queues) {
  std::vector<rte_eth_rss_reta_entry64> groups((slots + RTE_ETH_RETA_GROUP_SIZE - 1) /
                                               RTE_ETH_RETA_GROUP_SIZE);
  for (unsigned slot = 0; slot < slots; ++slot) {
    rte_eth_rss_reta_entry64& group = groups[slot / RTE_ETH_RETA_GROUP_SIZE];
    group.mask |= uint64_t{1} << (slot % RTE_ETH_RETA_GROUP_SIZE);
    group.reta[slot % RTE_ETH_RETA_GROUP_SIZE] = static_cast<uint16_t>(reta_worker(slot, queues));
  }
  // A device that refuses shows it when the table is read back.
  (void)rte_eth_dev_rss_reta_update(ethdev, groups.data(), static_cast<uint16_t>(slots));
}

}  // namespace

bool add_rss(const rte_eth_dev_info& device, unsigned queues, std::array<uint8_t, 64>& key,
             rte_eth_conf& conf) {
  const uint64_t types = device.flow_type_rss_offloads & hashed_types;
  if (types == 0 || queues < 2 || device.hash_key_size > key.size()) return false;
  // Longer keys than ours only matter to inputs longer than an IPv6 tuple.
  key.fill(0);
  std::ranges::copy(rss_key, key.begin());
  conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
  conf.rx_adv_conf.rss_conf.rss_hf = types;
  conf.rx_adv_conf.rss_conf.rss_key = key.data();
  conf.rx_adv_conf.rss_conf.rss_key_len =
      device.hash_key_size != 0 ? device.hash_key_size : static_cast<uint8_t>(rss_key.size());
  return true;
}

RssState program_rss(uint16_t ethdev, const rte_eth_dev_info& device, unsigned queues,
                     unsigned workers) {
  RssState state;
  state.present = true;
  if (device.reta_size != 0) {
    write_reta(ethdev, device.reta_size, queues);
    state.reta = read_reta(ethdev, device.reta_size);
  }
  std::array<uint8_t, 64> key{};
  rte_eth_rss_conf conf{};
  conf.rss_key = key.data();
  conf.rss_key_len = static_cast<uint8_t>(key.size());
  const bool readable = rte_eth_dev_rss_hash_conf_get(ethdev, &conf) == 0;
  std::copy_n(key.begin(), state.key.size(), state.key.begin());
  state.agrees =
      readable && (conf.rss_hf & hashed_types) == hashed_types && rss_agrees(state, workers);
  return state;
}

bool rss_agrees(const RssState& state, unsigned workers) {
  if (workers == 1) return true;
  if (!state.present || state.key != rss_key || state.reta.empty()) return false;
  if (!std::has_single_bit(state.reta.size())) return false;
  const size_t hashes = std::max<size_t>(reta_slots, state.reta.size());
  for (uint32_t hash = 0; hash < hashes; ++hash) {
    if (state.reta[hash % state.reta.size()] % workers != reta_worker(hash, workers)) return false;
  }
  return true;
}

}  // namespace sluice::nic
