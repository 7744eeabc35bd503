#include "dataplane/flow_listing.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/dataplane/pipeline_rig.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {
namespace {

using dataplane::FlowCursor;
using dataplane::FlowListing;
using dataplane::FlowPage;

TEST(FlowCursor, SurvivesItsEncoding) {
  for (const uint16_t worker : {0, 1, 63}) {
    for (const bool is_v6 : {false, true}) {
      for (const uint32_t record : {0u, 1u, flow::flows_max_limit - 1}) {
        const FlowCursor cursor{worker, is_v6, record};
        EXPECT_NE(cursor.encode(), 0u) << "0 asks for the start";
        const FlowCursor back = FlowCursor::decode(cursor.encode());
        EXPECT_EQ(back.worker, worker);
        EXPECT_EQ(back.is_v6, is_v6);
        EXPECT_EQ(back.record, record);
      }
    }
  }
  EXPECT_EQ(FlowCursor::decode(0).worker, 0);
}

FlowPage page_of(PipelineRig& rig, const dataplane::FlowQuery& query, unsigned& steps) {
  FlowListing listing(query, rig.size());
  steps = 1;
  while (!listing.step(rig.state(listing.worker()), (uint64_t{3} << 32) + 5, rig.tick())) ++steps;
  return listing.take_page();
}

TEST(FlowListing, PagesThroughAllWorkersAndFamilies) {
  SnapshotBuilder net = plain_net();
  net.snapshot.revision = (uint64_t{2} << 32) + 9;  // above today's low half: a turn ago
  PipelineRig rig(net.finish(), {.workers = 2});
  for (unsigned i = 0; i < 1500; ++i) {
    rig.deliver_one(
        build(tcp_spec("192.0.2.7:" + std::to_string(2000 + i), "10.0.0.100:80", wire::tcp_syn)));
  }
  for (unsigned i = 0; i < 20; ++i) {
    rig.deliver_one(
        build(udp_spec("[2001:db8::7]:" + std::to_string(2000 + i), "[fd00:1::100]:53")));
  }
  rig.pass_time_ms(700);
  std::set<Endpoint> clients;
  dataplane::FlowQuery query{.limit = 100};
  unsigned pages = 0, steps = 0;
  do {
    const FlowPage page = page_of(rig, query, steps);
    EXPECT_LE(page.flows.size(), 100u);
    for (const dataplane::FlowInfo& flow : page.flows) {
      EXPECT_TRUE(clients.insert(flow.client).second) << "listed twice";
      EXPECT_EQ(flow.revision, (uint64_t{2} << 32) + 9);
      EXPECT_EQ(flow.idle_ms, 700u);
      EXPECT_EQ(flow.virtual_address.port, flow.protocol == protocol_tcp ? 80 : 53);
      EXPECT_EQ(flow.ref, flow.protocol == protocol_tcp ? 0 : 3);
    }
    query.cursor = page.next;
    ++pages;
  } while (query.cursor != 0);
  EXPECT_EQ(clients.size(), 1520u);
  EXPECT_GE(pages, 16u);
}

TEST(FlowListing, StepsAreBoundedEvenWhenNothingMatches) {
  PipelineRig rig(plain_net().finish(), {.flows_max = 8192});
  for (unsigned i = 0; i < 5000; ++i) {
    rig.deliver_one(
        build(tcp_spec("192.0.2.7:" + std::to_string(2000 + i), "10.0.0.100:80", wire::tcp_syn)));
  }
  unsigned steps = 0;
  const FlowPage page = page_of(rig, {.limit = 4096, .ref = 77}, steps);
  EXPECT_TRUE(page.flows.empty());
  EXPECT_EQ(page.next, 0u);
  EXPECT_GE(steps, 5000 / FlowListing::step_budget);
}

}  // namespace
}  // namespace sluice::test
