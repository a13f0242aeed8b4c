// What a third node learns of a copy that two others levelled.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

// B gets a blank disk, while A is Primary and C is not connected with B.
void replace_b(Lab& lab) {
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.advance(seconds(2));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kC}));
  LabNode& b = lab.node(kB);
  NodeRecord blank;
  blank.resource = b.record.resource;
  blank.node = kB;
  blank.disk = uuid(4711);
  blank.size_bytes = b.record.size_bytes;
  blank.boot = b.record.boot;
  blank.memory.lineage.start = 400;
  blank.acceptor.acceptor = uuid(4712);
  b.record = blank;
  b.intent = {};
  b.bitmaps = {};
  lab.start(kB);
}

TEST(Learning, ACopyThatTwoOthersLevelledIsKnownAsSoonAsItIsMet) {
  Lab lab(three_data_nodes());
  replace_b(lab);
  lab.connect(kA, kB);
  lab.connect(kB, kW);
  lab.advance(seconds(5));
  ASSERT_EQ(lab.node(kC).tenure().members, (SeatSet{kA, kB, kC}));
  EXPECT_NE(lab.node(kC).record.peers[kB.value].disk, uuid(4711)) << "C has not heard of B";
  lab.connect(kB, kC);
  lab.advance(seconds(1));
  EXPECT_EQ(lab.node(kC).record.peers[kB.value].disk, uuid(4711));
  EXPECT_EQ(lab.node(kB).record.peers[kC.value].disk, lab.node(kC).record.disk);
  for (const PeerSnapshot& peer : lab.show(kC).peers) EXPECT_EQ(peer.dirty_blocks, 0u);
}

}  // namespace
}  // namespace lockstep
