#include "ctrl/control/flow_lister.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "ctrl/control/config_lookup.h"
#include "ctrl/control/status_view.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

std::string_view state_name(flow::FlowState state) {
  switch (state) {
    case flow::FlowState::free:
      return "free";
    case flow::FlowState::tcp_syn:
      return "syn";
    case flow::FlowState::tcp_established:
    case flow::FlowState::udp_established:
      return "established";
    case flow::FlowState::tcp_closing:
      return "closing";
    case flow::FlowState::tcp_closed:
      return "closed";
    case flow::FlowState::udp_new:
      return "new";
    case flow::FlowState::reset:
      return "reset";
  }
  return "free";
}

bool matches(const FlowFilter& filter, const Json& flow) {
  return (filter.pool.empty() || flow["pool"] == filter.pool) &&
         (filter.route.empty() || flow["route"] == filter.route) &&
         (filter.backend.empty() || flow["backend"] == filter.backend);
}

Json flow_json(const Controller& controller, const dataplane::FlowInfo& flow) {
  const RefKey ref = controller.registry().find_ref(flow.ref).value_or(RefKey{});
  return {{"worker", flow.worker},
          {"protocol", protocol_name(flow.protocol)},
          {"state", state_name(flow.state)},
          {"client", to_string(flow.client)},
          {"virtual", to_string(flow.virtual_address)},
          {"snat", to_string(flow.snat)},
          {"backend", to_string(flow.backend)},
          {"route", ref.route},
          {"rule", ref.rule},
          {"pool", ref.pool},
          {"revision", flow.revision},
          {"idle_ms", flow.idle_ms}};
}

}  // namespace

FlowLister::~FlowLister() { loop_.cancel(timer_); }

Result<dataplane::FlowQuery> FlowLister::query_of(const FlowFilter& filter) const {
  dataplane::FlowQuery query;
  query.cursor = filter.cursor;
  query.limit = std::clamp(filter.limit, 1u, flows_page_max);
  std::vector<uint16_t> refs, backends;
  for (const auto& [key, ref] : controller_.registry().refs()) {
    if ((filter.pool.empty() || key.pool == filter.pool) &&
        (filter.route.empty() || key.route == filter.route)) {
      refs.push_back(ref);
    }
  }
  if (refs.empty() && !(filter.pool.empty() && filter.route.empty())) {
    return fail(fmt::format("there is no {}",
                            filter.pool.empty() ? "route " + filter.route : "pool " + filter.pool));
  }
  if (refs.size() == 1) query.ref = refs[0];
  if (filter.backend.empty()) return query;
  const auto endpoint = parse_endpoint(filter.backend);
  if (!endpoint) return fail("backend " + endpoint.error().message);
  for (const PoolConfig& pool : controller_.config().pools) {
    const auto identity = controller_.registry().find_backend(BackendKey{pool.name, *endpoint});
    if (identity) backends.push_back(identity->id);
  }
  if (backends.empty()) return fail(fmt::format("no pool has a backend {}", filter.backend));
  if (backends.size() == 1) query.backend = backends[0];
  return query;
}

void FlowLister::list(const FlowFilter& filter, Done done) {
  const auto query = query_of(filter);
  if (!query) return done(std::unexpected(query.error()));
  auto request = std::make_shared<Request>(
      Request{filter, std::move(done), controller_.now_ns() + flows_wait_ms * 1'000'000});
  if (const auto endpoint = parse_endpoint(filter.backend)) {
    request->filter.backend = to_string(*endpoint);  // as the workers' answers are spelled
  }
  waiting_.push_back(request);
  controller_.engine().list_flows(
      *query, [this, weak = std::weak_ptr(request)](const dataplane::FlowPage& page) {
        if (const auto asked = weak.lock()) answer(asked, page);
      });
  if (timer_ == 0) poll();
}

void FlowLister::answer(const std::shared_ptr<Request>& request, const dataplane::FlowPage& page) {
  Json flows = Json::array();
  for (const dataplane::FlowInfo& flow : page.flows) {
    Json json = flow_json(controller_, flow);
    if (matches(request->filter, json)) flows.push_back(std::move(json));
  }
  waiting_.remove(request);
  request->done(Json{{"flows", std::move(flows)}, {"next", page.next}});
}

/// Workers answer into a ring that nothing announces: looked at while somebody waits.
void FlowLister::poll() {
  timer_ = 0;
  controller_.engine().poll_replies();
  const uint64_t now_ns = controller_.now_ns();
  std::vector<std::shared_ptr<Request>> late;
  for (const auto& request : waiting_) {
    if (now_ns >= request->deadline_ns) late.push_back(request);
  }
  for (const auto& request : late) {
    waiting_.remove(request);
    request->done(fail(fmt::format("a worker did not answer within {} ms", flows_wait_ms)));
  }
  if (waiting_.empty() || timer_ != 0) return;
  timer_ = loop_.after(1ms, [this](int) { poll(); });
}

}  // namespace sluice::ctrl
