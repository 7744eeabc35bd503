#include "dataplane/model/listener_index.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace sluice::model {

template <typename Tuple>
ListenerTable<Tuple>::ListenerTable(std::vector<Entry> entries) {
  std::ranges::sort(entries, {}, [](const Entry& entry) {
    return std::tuple(entry.address, entry.protocol, entry.port_first);
  });
  const size_t places = std::bit_ceil(entries.size() * 2 + 2);
  ports_.resize(places);
  hosts_.resize(places);
  for (auto first = entries.begin(); first != entries.end();) {
    const auto end = std::find_if(
        first, entries.end(), [&](const Entry& entry) { return entry.address != first->address; });
    const auto ranges_first = static_cast<uint32_t>(ranges_.size());
    for (const Entry& entry : std::span(first, end)) {
      if (entry.port_first == entry.port_last) {
        add_port(entry);
      } else {
        ranges_.push_back({entry.protocol, entry.port_first, entry.port_last, entry.listener});
      }
    }
    add_host(first->address, ranges_first, static_cast<uint32_t>(ranges_.size()) - ranges_first);
    first = end;
  }
}

template <typename Tuple>
void ListenerTable<Tuple>::add_host(const Address& address, uint32_t ranges_first,
                                    uint32_t ranges_count) {
  size_t at = mix(fold(address)) & (hosts_.size() - 1);
  while (hosts_[at].used) at = (at + 1) & (hosts_.size() - 1);
  hosts_[at] = {address, true, ranges_first, ranges_count};
}

template <typename Tuple>
void ListenerTable<Tuple>::add_port(const Entry& entry) {
  const uint64_t hash = hash_port(entry.address, entry.port_first, entry.protocol);
  size_t at = hash & (ports_.size() - 1);
  while (ports_[at].listener != no_listener) at = (at + 1) & (ports_.size() - 1);
  ports_[at] = {entry.address, entry.port_first, entry.protocol, entry.listener};
}

template class ListenerTable<Tuple4>;
template class ListenerTable<Tuple6>;

std::shared_ptr<const ListenerIndex> ListenerIndex::build(std::span<const Listener> listeners) {
  std::vector<ListenerTable<Tuple4>::Entry> v4;
  std::vector<ListenerTable<Tuple6>::Entry> v6;
  for (size_t i = 0; i < listeners.size(); ++i) {
    const Listener& listener = listeners[i];
    const auto add = [&](auto& entries, const auto& address) {
      entries.push_back({address, listener.protocol, listener.port_first, listener.port_last,
                         static_cast<int32_t>(i)});
    };
    if (listener.address.family == Family::v4) {
      add(v4, listener.address.v4_raw());
    } else {
      add(v6, listener.address.bytes);
    }
  }
  const std::shared_ptr<ListenerIndex> index(new ListenerIndex);
  index->v4_ = ListenerTable<Tuple4>(std::move(v4));
  index->v6_ = ListenerTable<Tuple6>(std::move(v6));
  return index;
}

}  // namespace sluice::model
