#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ctrl/config/draft.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

using namespace std::string_view_literals;

constexpr size_t label_bytes_max = 63;
constexpr uint64_t tier_max = 15;

void read_label(const std::optional<Value>& value, std::string& label) {
  if (value) label = value->text(label_bytes_max).value_or(label);
}

void read_backend(const Value& value, PoolConfig& pool, PoolPlaces& places) {
  TableReader table(value);
  BackendConfig backend;
  const auto address_value = table.required("address");
  const auto port_value = table.required("port");
  const auto address = address_value ? read_host_address(*address_value) : std::nullopt;
  const auto port = port_value ? port_value->integer(1, 65'535) : std::nullopt;
  if (const auto weight = table.optional("weight")) {
    backend.weight = weight->integer(0, weight_max).value_or(backend.weight);
  }
  if (const auto tier = table.optional("tier")) {
    backend.tier = tier->integer(0, tier_max).value_or(backend.tier);
  }
  read_label(table.optional("zone"), backend.zone);
  table.finish();
  if (!address || !port) {
    places.whole = false;
    return;
  }
  backend.address = *address;
  backend.port = *port;
  pool.backends.push_back(std::move(backend));
  places.backends.push_back(*address_value);
}

void read_backends(TableReader& table, PoolConfig& pool, PoolPlaces& places) {
  const auto value = table.required("backends");
  const auto items = value ? value->items("backends", 1, model::backends_max)
                           : std::optional<std::vector<Value>>();
  places.whole = items.has_value();
  if (!items) return;
  pool.backends.reserve(items->size());
  for (const Value& item : *items) read_backend(item, pool, places);
  const auto idle = [](const BackendConfig& backend) { return backend.weight == 0; };
  if (places.whole && std::ranges::all_of(pool.backends, idle)) {
    value->reject("every backend has weight 0, at least one must have more");
  }
}

void read_panic(TableReader& table, PoolConfig& pool) {
  const auto policy = table.optional("panic");
  if (policy) {
    static constexpr std::array words = {"none"sv, "spread"sv, "fail"sv};
    if (const auto index = policy->choice(words)) pool.panic = static_cast<PanicPolicy>(*index);
    if (pool.panic != PanicPolicy::none && pool.health.type == HealthType::none) {
      policy->reject("needs `health`: without it every backend counts as well");
    }
  }
  if (const auto below = table.optional("panic_below_percent")) {
    pool.panic_below_percent = below->integer(1, 100).value_or(pool.panic_below_percent);
    if (pool.panic == PanicPolicy::none) below->reject("needs `panic`");
  }
}

}  // namespace

void read_pool(const Value& value, Draft& draft) {
  TableReader table(value);
  PoolConfig pool;
  PoolPlaces places{.self = value};
  if (auto name = table.required("name")) {
    if (auto text = read_name(*name)) {
      pool.name = *text;
      places.name = std::move(name);
    }
  }
  pool.service = pool.name;
  read_label(table.optional("service"), pool.service);
  read_label(table.optional("version"), pool.version);
  read_backends(table, pool, places);
  if (const auto health = table.optional("health")) read_health(*health, pool.health);
  if (const auto on_empty = table.optional("on_empty")) {
    static constexpr std::array words = {"reject"sv, "drop"sv};
    const auto index = on_empty->choice(words);
    if (index) pool.on_empty = static_cast<model::OnEmpty>(*index);
  }
  read_panic(table, pool);
  read_labels(table.optional("labels"), pool.labels);
  table.finish();
  draft.config.pools.push_back(std::move(pool));
  draft.pools.push_back(std::move(places));
}

}  // namespace sluice::ctrl
