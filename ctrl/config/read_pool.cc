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
constexpr uint64_t probes_max = 100;
constexpr uint64_t interval_ms_min = 100, interval_ms_max = 3'600'000;
constexpr uint64_t timeout_ms_min = 10, timeout_ms_max = 60'000;

void read_label(const std::optional<Value>& value, std::string& label) {
  if (value) label = value->text(label_bytes_max).value_or(label);
}

void read_health(const Value& value, HealthConfig& health) {
  TableReader table(value);
  if (const auto type = table.required("type")) {
    static constexpr std::array supported = {"none"sv, "tcp"sv};
    static constexpr std::array known = {"http"sv, "https"sv};
    if (const auto index = type->choice(supported, known)) {
      health.type = static_cast<HealthType>(*index);
    }
  }
  if (const auto interval = table.optional("interval")) {
    health.interval_ms =
        interval->duration_ms(interval_ms_min, interval_ms_max).value_or(health.interval_ms);
  }
  const auto timeout = table.optional("timeout");
  if (!timeout) {
    health.timeout_ms = std::min(health.timeout_ms, health.interval_ms);
  } else if (const auto ms = timeout->duration_ms(timeout_ms_min, timeout_ms_max)) {
    health.timeout_ms = *ms;
    if (health.timeout_ms > health.interval_ms) {
      timeout->reject(fmt::format("must not be longer than the interval of {} ms, got {} ms",
                                  health.interval_ms, health.timeout_ms));
    }
  }
  if (const auto rise = table.optional("rise")) {
    health.rise = rise->integer(1, probes_max).value_or(health.rise);
  }
  if (const auto fall = table.optional("fall")) {
    health.fall = fall->integer(1, probes_max).value_or(health.fall);
  }
  table.unsupported({"path", "host", "status"});
  table.finish();
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
  table.finish();
  draft.config.pools.push_back(std::move(pool));
  draft.pools.push_back(std::move(places));
}

}  // namespace sluice::ctrl
