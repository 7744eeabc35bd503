#include "ctrl/compile/compile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "dataplane/model/decide.h"
#include "dataplane/model/listener_index.h"
#include "tests/ctrl/compile/lab.h"

namespace sluice::ctrl {
namespace {

class CompileTest : public testing::Test {
 protected:
  SnapshotPtr compile_now(const SnapshotPtr& previous = nullptr) {
    return compile_good(config_, observed_, registry_, previous);
  }

  // The members of a pool's table, as "address:port", of one family.
  std::set<std::string> members(const model::Snapshot& snapshot, std::string_view pool,
                                Family family) const {
    std::set<std::string> endpoints;
    for (const model::Pool& each : snapshot.pools) {
      if (each.name != pool || each.backends->empty()) continue;
      for (const uint16_t id : *each.backends) {
        const Endpoint& member = snapshot.backends[id].endpoint;
        if (member.address.family == family) endpoints.insert(to_string(member));
      }
    }
    return endpoints;
  }

  RuleConfig& split() { return config_.routes[0].rules[1]; }

  Config config_ = parse_good(lab_toml);
  Observed observed_ = observe(config_);
  Registry registry_;
};

TEST_F(CompileTest, GivesEachPoolItsExactShare) {
  const SnapshotPtr snapshot = compile_now();
  for (const model::Route& route : snapshot->routes) {
    const model::Rule& rule = route.rules.back();
    ASSERT_TRUE(rule.slots);
    EXPECT_EQ(std::ranges::count(*rule.slots, 0), 62'259) << route.name;  // 95 % of 65,536
    EXPECT_EQ(std::ranges::count(*rule.slots, 1), 3'277) << route.name;
  }
}

TEST_F(CompileTest, CopiesWhatWasObserved) {
  observed_.generation = 7;
  observed_.revision = 9;
  observed_.ports[1].mtu = 9000;
  config_.timeouts.tcp_syn = 55;
  const SnapshotPtr snapshot = compile_now();
  EXPECT_EQ(snapshot->generation, 7u);
  EXPECT_EQ(snapshot->revision, 9u);
  EXPECT_EQ(snapshot->decision_key, observed_.decision_key);
  EXPECT_EQ(snapshot->timeouts.tcp_syn, 55u);
  EXPECT_TRUE(snapshot->ports[0].present);
  EXPECT_EQ(snapshot->ports[1].mtu, 9000);
  EXPECT_FALSE(snapshot->ports[2].present);
}

TEST_F(CompileTest, KeepsTheFamiliesApart) {
  const SnapshotPtr snapshot = compile_now();
  for (const model::Listener& listener : snapshot->listeners) {
    ASSERT_EQ(listener.routes.size(), 1u);
    for (const model::Rule& rule : snapshot->routes[listener.routes[0]].rules) {
      for (const model::PoolRef& ref : rule.pools) {
        for (const uint16_t id : *snapshot->pools[ref.pool].backends) {
          ASSERT_EQ(snapshot->backends[id].endpoint.address.family, listener.address.family);
        }
      }
    }
  }
  EXPECT_EQ(snapshot->routes.size(), 3u);  // orders twice: IPv4 and IPv6
  EXPECT_EQ(snapshot->pools.size(), 4u);
}

TEST_F(CompileTest, RoutesOfBothFamiliesShareTablesAndCounters) {
  const SnapshotPtr snapshot = compile_now();
  const model::Rule& v4 = snapshot->routes[snapshot->listeners[0].routes[0]].rules[1];
  const model::Rule& v6 = snapshot->routes[snapshot->listeners[1].routes[0]].rules[1];
  EXPECT_EQ(v4.slots, v6.slots);
  ASSERT_EQ(v4.pools.size(), v6.pools.size());
  for (size_t i = 0; i < v4.pools.size(); ++i) EXPECT_EQ(v4.pools[i].ref, v6.pools[i].ref);
  EXPECT_NE(v4.pools[0].ref, v4.pools[1].ref);
}

TEST_F(CompileTest, TheIndexFindsListenersOfTheSnapshot) {
  const SnapshotPtr snapshot = compile_now();
  Tuple4 tuple{.source = ip("10.9.9.9").v4_raw(),
               .destination = ip("10.0.0.100").v4_raw(),
               .source_port = swap16(4000),
               .destination_port = swap16(8042)};
  const int32_t udp = snapshot->index->find(tuple, protocol_udp);
  ASSERT_NE(udp, model::no_listener);
  EXPECT_EQ(snapshot->listeners[udp].name, "orders-udp");
  EXPECT_EQ(snapshot->index->find(tuple, protocol_tcp), model::no_listener);
}

TEST_F(CompileTest, DecidesBySourceThenByWeight) {
  const SnapshotPtr snapshot = compile_now();
  Tuple4 tuple{.source = ip("10.5.1.1").v4_raw(),
               .destination = ip("10.0.0.100").v4_raw(),
               .source_port = 1,
               .destination_port = swap16(80)};
  for (uint16_t port = 1; port < 500; ++port) {
    tuple.source_port = swap16(port);
    const model::Decision decision = model::decide(*snapshot, snapshot->listeners[0], tuple);
    ASSERT_EQ(decision.verdict, Verdict::none);
    EXPECT_EQ(snapshot->pools[decision.pool].name, "v2");
    EXPECT_EQ(registry_.find_ref(decision.ref)->rule, 0u);
  }
}

TEST_F(CompileTest, AnUnusedListenerAndPoolAreFine) {
  config_.routes.clear();
  const SnapshotPtr snapshot = compile_now();
  EXPECT_TRUE(snapshot->pools.empty());
  EXPECT_TRUE(snapshot->listeners[0].routes.empty());
  EXPECT_EQ(std::ranges::count_if(snapshot->backends, &model::Backend::in_config), 7);
}

TEST_F(CompileTest, LeavesDownBackendsOut) {
  observed_.down.insert({"v1", endpoint("10.0.1.11:8080")});
  observed_.down.insert({"v2", endpoint("10.0.1.12:8080")});  // another pool's backend
  const SnapshotPtr snapshot = compile_now();
  EXPECT_EQ(members(*snapshot, "v1", Family::v4), std::set<std::string>{"10.0.1.12:8080"});
}

TEST_F(CompileTest, FallsToTheNextTierAndBack) {
  observed_.down.insert({"v1", endpoint("10.0.1.11:8080")});
  observed_.down.insert({"v1", endpoint("10.0.1.12:8080")});
  const SnapshotPtr failed = compile_now();
  EXPECT_EQ(members(*failed, "v1", Family::v4), std::set<std::string>{"10.0.9.11:8080"});
  EXPECT_EQ(members(*failed, "v1", Family::v6), std::set<std::string>{"[fd00:2::11]:8080"});
  observed_.down.clear();
  const SnapshotPtr healed = compile_now(failed);
  EXPECT_EQ(members(*healed, "v1", Family::v4),
            (std::set<std::string>{"10.0.1.11:8080", "10.0.1.12:8080"}));
  const auto tier_of_v1 = [](const SnapshotPtr& snapshot) {
    return std::ranges::find(snapshot->pools, "v1", &model::Pool::name)->active_tier;
  };
  EXPECT_EQ(tier_of_v1(failed), 1);
  EXPECT_EQ(tier_of_v1(healed), 0);
}

TEST_F(CompileTest, AllDownLeavesAnEmptyTable) {
  for (const BackendConfig& backend : config_.pools[0].backends) {
    observed_.down.insert({"v1", {backend.address, backend.port}});
  }
  config_.pools[0].on_empty = model::OnEmpty::drop;
  const SnapshotPtr snapshot = compile_now();
  const auto v1 = std::ranges::find(snapshot->pools, "v1", &model::Pool::name);
  ASSERT_TRUE(v1->backends);
  EXPECT_TRUE(v1->backends->empty());
  EXPECT_EQ(v1->on_empty, model::OnEmpty::drop);
  EXPECT_EQ(v1->active_tier, 0);
}

TEST_F(CompileTest, DrainsAndWeightsOfZeroLeaveTheTable) {
  config_.pools[0].backends[0].drained = true;
  config_.pools[1].backends[0].weight = 0;
  const SnapshotPtr snapshot = compile_now();
  EXPECT_EQ(members(*snapshot, "v1", Family::v4), std::set<std::string>{"10.0.1.12:8080"});
  EXPECT_EQ(members(*snapshot, "v2", Family::v4), std::set<std::string>{"10.0.1.22:8080"});
}

TEST_F(CompileTest, ADrainedPrimaryTierFailsOver) {
  config_.pools[0].backends[0].drained = true;
  config_.pools[0].backends[1].drained = true;
  EXPECT_EQ(members(*compile_now(), "v1", Family::v4), std::set<std::string>{"10.0.9.11:8080"});
}

TEST_F(CompileTest, UnresolvedCountsAsDownOnceSomethingIsResolved) {
  observed_.next_hops.erase(ip("10.0.1.11"));
  EXPECT_EQ(members(*compile_now(), "v1", Family::v4), std::set<std::string>{"10.0.1.12:8080"});
  observed_.next_hops[ip("10.0.1.12")].resolved = false;
  EXPECT_EQ(members(*compile_now(), "v1", Family::v4), std::set<std::string>{"10.0.9.11:8080"});
}

TEST_F(CompileTest, UnresolvedStaysWhileNothingIsResolved) {
  observed_.next_hops.clear();
  observed_.down.insert({"v1", endpoint("10.0.1.11:8080")});
  const SnapshotPtr snapshot = compile_now();
  EXPECT_EQ(members(*snapshot, "v1", Family::v4), std::set<std::string>{"10.0.1.12:8080"});
  const auto id = registry_.find_backend({"v1", endpoint("10.0.1.12:8080")})->id;
  EXPECT_FALSE(snapshot->backends[id].next_hop.resolved);
}

TEST_F(CompileTest, ANextHopOnAPortThatIsGoneIsUnresolved) {
  observed_.next_hops[ip("10.0.1.11")].port = 5;
  EXPECT_EQ(members(*compile_now(), "v1", Family::v4), std::set<std::string>{"10.0.1.12:8080"});
  observed_.next_hops[ip("10.0.1.11")].port = 1;
  EXPECT_EQ(members(*compile_now(), "v1", Family::v4).size(), 2u);
  observed_.ports[1].present = false;
  EXPECT_EQ(members(*compile_now(), "v1", Family::v4), std::set<std::string>{"10.0.1.12:8080"});
}

TEST_F(CompileTest, WithoutAHealthCheckNothingIsDown) {
  observed_.down.insert({"v2", endpoint("10.0.1.21:8080")});
  EXPECT_EQ(members(*compile_now(), "v2", Family::v4).size(), 2u);
}

TEST_F(CompileTest, WeightsOfBackendsShapeTheTable) {
  const SnapshotPtr snapshot = compile_now();
  const uint16_t heavy = registry_.find_backend({"v2", endpoint("10.0.1.21:8080")})->id;
  const auto v2 = std::ranges::find_if(snapshot->pools, [](const model::Pool& pool) {
    return pool.name == "v2" && pool.backends->size() > 0;
  });
  const double share = double(std::ranges::count(*v2->backends, heavy)) / v2->backends->size();
  EXPECT_NEAR(share, 0.75, 1e-4);
}

TEST_F(CompileTest, RampsOnlyMoveSlotsToThePoolThatGrows) {
  SnapshotPtr before = compile_now();
  for (const uint32_t weight : {6u, 10u, 25u, 50u, 95u, 1'000u}) {
    split().backends[1].weight = weight;
    const SnapshotPtr after = compile_now(before);
    const auto& old_slots = *before->routes[0].rules[1].slots;
    const auto& slots = *after->routes[0].rules[1].slots;
    uint32_t moved_back = 0;
    for (uint32_t slot = 0; slot < model::slot_count; ++slot) {
      moved_back += old_slots[slot] == 1 && slots[slot] != 1;
    }
    EXPECT_EQ(moved_back, 0u) << "weight " << weight;
    before = after;
  }
}

TEST_F(CompileTest, AllWeightsZeroHasNoSlots) {
  for (PoolRefConfig& ref : split().backends) ref.weight = 0;
  EXPECT_EQ(compile_now()->routes[0].rules[1].slots, nullptr);
}

TEST_F(CompileTest, SharesTablesThatDidNotChange) {
  const SnapshotPtr before = compile_now();
  split().backends[1].weight = 10;
  const SnapshotPtr after = compile_now(before);
  EXPECT_EQ(before->index, after->index);
  for (size_t i = 0; i < before->pools.size(); ++i) {
    EXPECT_EQ(before->pools[i].backends, after->pools[i].backends) << before->pools[i].name;
  }
  EXPECT_EQ(before->routes[0].rules[0].slots, after->routes[0].rules[0].slots);
  EXPECT_NE(before->routes[0].rules[1].slots, after->routes[0].rules[1].slots);
  EXPECT_EQ(before->routes[2].rules[0].slots, after->routes[2].rules[0].slots);
}

TEST_F(CompileTest, OneDownBackendRebuildsOneTable) {
  const SnapshotPtr before = compile_now();
  observed_.down.insert({"v1", endpoint("10.0.1.11:8080")});
  const SnapshotPtr after = compile_now(before);
  size_t changed = 0;
  for (size_t i = 0; i < before->pools.size(); ++i) {
    changed += before->pools[i].backends != after->pools[i].backends;
  }
  EXPECT_EQ(changed, 1u);
  for (size_t r = 0; r < before->routes.size(); ++r) {
    EXPECT_EQ(before->routes[r].rules.back().slots, after->routes[r].rules.back().slots);
  }
}

TEST_F(CompileTest, ANewListenerNeedsANewIndex) {
  const SnapshotPtr before = compile_now();
  config_.listeners[2].port_last = 8101;
  const SnapshotPtr after = compile_now(before);
  EXPECT_NE(before->index, after->index);
}

TEST_F(CompileTest, TheOrderOfBackendsDoesNotMatter) {
  const SnapshotPtr before = compile_now();
  const auto endpoints_of = [](const model::Snapshot& snapshot, const model::Pool& pool) {
    std::vector<Endpoint> endpoints;
    for (const uint16_t id : *pool.backends) endpoints.push_back(snapshot.backends[id].endpoint);
    return endpoints;
  };
  std::ranges::reverse(config_.pools[0].backends);
  Registry other;
  const SnapshotPtr after = compile_good(config_, observed_, other);
  for (size_t i = 0; i < before->pools.size(); ++i) {
    EXPECT_EQ(endpoints_of(*before, before->pools[i]), endpoints_of(*after, after->pools[i]));
  }
}

TEST_F(CompileTest, RemovedBackendsLingerUntilReleased) {
  const SnapshotPtr before = compile_now();
  const BackendIdentity gone = *registry_.find_backend({"v1", endpoint("10.0.1.11:8080")});
  config_.pools[0].backends.erase(config_.pools[0].backends.begin());
  const SnapshotPtr after = compile_now(before);
  const model::Backend& lingering = after->backends[gone.id];
  EXPECT_TRUE(lingering.present);
  EXPECT_FALSE(lingering.in_config);
  EXPECT_EQ(lingering.incarnation, gone.incarnation);
  EXPECT_EQ(to_string(lingering.endpoint), "10.0.1.11:8080");
  EXPECT_TRUE(lingering.next_hop.resolved);
  registry_.release_backend(gone.id);
  EXPECT_FALSE(compile_now(after)->backends[gone.id].present);
}

TEST_F(CompileTest, ARecycledIdIsPublishedAsANewIncarnation) {
  for (uint32_t i = 0; i < model::backends_max - 7; ++i) {  // the lab's own 7 are all that fit
    ASSERT_TRUE(registry_.backend({"gone", {ip("10.8.0.0"), uint16_t(i)}}));
  }
  const SnapshotPtr before = compile_now();
  const BackendIdentity old = *registry_.find_backend({"v1", endpoint("10.0.1.11:8080")});
  config_.pools[0].backends[0].address = ip("10.0.1.12");
  config_.pools[0].backends[0].port = 9090;
  const auto full = compile(config_, observed_, registry_, before.get());
  ASSERT_FALSE(full);
  EXPECT_EQ(
      full.error().message,
      "no identity is left for pool v1 backend 10.0.1.12:9090: the configuration needs 7, and "
      "65529 of 65535 are held by what it removes until its connections end");
  EXPECT_TRUE(registry_.find_backend(old.id)->in_config);  // nothing changed
  Config without = config_;
  without.pools[0].backends.erase(without.pools[0].backends.begin());
  const SnapshotPtr smaller = compile_good(without, observed_, registry_, before);
  EXPECT_EQ(smaller->backends[old.id].incarnation, old.incarnation);
  registry_.release_backend(old.id);
  const SnapshotPtr after = compile_now(smaller);
  const BackendIdentity fresh = *registry_.find_backend({"v1", endpoint("10.0.1.12:9090")});
  EXPECT_EQ(fresh.id, old.id);
  EXPECT_EQ(after->backends[fresh.id].incarnation, old.incarnation + 1);
  EXPECT_EQ(to_string(after->backends[fresh.id].endpoint), "10.0.1.12:9090");
}

TEST_F(CompileTest, ABackendThatComesBackIsTheSame) {
  const SnapshotPtr before = compile_now();
  const BackendConfig removed = config_.pools[0].backends[0];
  const BackendIdentity identity = *registry_.find_backend({"v1", endpoint("10.0.1.11:8080")});
  config_.pools[0].backends.erase(config_.pools[0].backends.begin());
  const SnapshotPtr without = compile_now(before);
  config_.pools[0].backends.push_back(removed);
  const SnapshotPtr again = compile_now(without);
  const BackendIdentity now = *registry_.find_backend({"v1", endpoint("10.0.1.11:8080")});
  EXPECT_EQ(now.id, identity.id);
  EXPECT_EQ(now.incarnation, identity.incarnation);
  EXPECT_TRUE(again->backends[now.id].in_config);
}

TEST_F(CompileTest, IdentitiesSurviveEveryChange) {
  SnapshotPtr snapshot = compile_now();
  const auto refs = registry_.refs();
  const BackendIdentity backend = *registry_.find_backend({"v2", endpoint("10.0.1.22:8080")});
  std::mt19937 random(20);
  for (int round = 0; round < 50; ++round) {
    split().backends[random() % 2].weight = random() % 100;
    config_.pools[0].backends[random() % 4].drained = random() % 2;
    std::ranges::shuffle(config_.pools, random);
    snapshot = compile_now(snapshot);
    EXPECT_EQ(registry_.refs(), refs);
    EXPECT_EQ(registry_.find_backend({"v2", endpoint("10.0.1.22:8080")})->id, backend.id);
    std::ranges::sort(config_.pools, {}, &PoolConfig::name);
  }
}

TEST_F(CompileTest, RefusesWhatIsNotDefined) {
  split().backends[0].pool = "v9";
  auto result = compile(config_, observed_, registry_, nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "route orders: pool v9 is not defined");
  config_.routes[0].listeners[0] = "nothing";
  result = compile(config_, observed_, registry_, nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "route orders: listener nothing is not defined");
  EXPECT_TRUE(registry_.refs().empty());
}

TEST_F(CompileTest, ADryRunWithACopyChangesNothing) {
  const SnapshotPtr before = compile_now();
  Registry scratch = registry_;
  Config other = config_;
  other.pools[0].backends.erase(other.pools[0].backends.begin());
  other.routes[0].rules.pop_back();
  other.listeners.pop_back();
  other.routes.pop_back();
  const SnapshotPtr dry = compile_good(other, observed_, scratch, before);
  EXPECT_FALSE(scratch.lingering().empty());
  EXPECT_TRUE(registry_.lingering().empty());
  EXPECT_TRUE(registry_.lingering_refs().empty());
}

}  // namespace
}  // namespace sluice::ctrl
