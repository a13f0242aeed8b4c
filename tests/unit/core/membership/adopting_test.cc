#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool data_from_a_to_c(const Lab::Mail& letter) {
  return letter.from == kA && letter.send.to == kC && lane_of(letter.send.message) == Lane::data;
}

// A Primary of three, whose writes to C are still on their way while B tells C the tenure that followed.
class Hearsay : public ::testing::Test {
 protected:
  Hearsay() : lab(three_data_nodes()) {
    lab.create();
    lab.promote(kA);
    lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
    EXPECT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::invalidate)));
    lab.connect(kA, kB);
    lab.advance(seconds(1));
    before = lab.node(kC).tenure().number;
  }
  void b_joins_while_c_hears_of_it_from_others_only() {
    lab.hold_mail = data_from_a_to_c;
    io = lab.write(kA);
    lab.advance(seconds(1));
    ASSERT_GT(lab.node(kB).tenure().number, before);
  }
  Lab lab;
  uint64_t before = 0;
  ClientIo io;
};

TEST_F(Hearsay, TheAuthorsOwnWordIsWaitedForWhileItIsThere) {
  b_joins_while_c_hears_of_it_from_others_only();
  EXPECT_EQ(lab.node(kC).tenure().number, before);
  EXPECT_FALSE(lab.answer(kA, io));
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.run();
  EXPECT_GT(lab.node(kC).tenure().number, before);
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok) << "the write came first, and was taken";
}

TEST_F(Hearsay, WithoutTheAuthorAnothersWordIsTaken) {
  b_joins_while_c_hears_of_it_from_others_only();
  lab.cut(kA, kC);
  EXPECT_GT(lab.node(kC).tenure().number, before);
}

// It would land on what the Primary after it writes.
TEST(Adopting, WaitsForAWriteThatWaitsForItsIntent) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  const uint64_t before = lab.node(kB).tenure().number;
  lab.node(kB).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::intent; };
  lab.write(kA);
  ASSERT_TRUE(lab.node(kB).disk.empty()) << "not yet at the disk";
  lab.kill(kA);
  lab.advance(seconds(5));
  lab.promote(kC);
  EXPECT_EQ(lab.node(kB).tenure().number, before);
  lab.node(kB).hold_meta_of = [](LabNode::Meta) { return false; };
  lab.run();
  EXPECT_EQ(lab.node(kB).tenure().primary, lab.node(kC).tenure().primary);
}

// C has lost its cache while it was away, and hears of a tenure that it had helped to decide. It is in the set as before, but only a clean
// hand-over says that what it lacks was flushed there.
TEST(Adopting, ATenureThatIsNotCleanEndsNoDoubt) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  const uint64_t before = lab.node(kC).tenure().number;
  lab.hold_mail = [](const Lab::Mail& letter) {
    return letter.send.to == kC && std::holds_alternative<TenureDecided>(letter.send.message);
  };
  for (Seat seat : {kA, kB, kC}) lab.cut(seat, kW);
  lab.start_witness(kW, uuid(777));  // a later tenure with the same set: the witness is seated again
  for (Seat seat : {kA, kB}) lab.connect(seat, kW);
  lab.advance(seconds(1));
  ASSERT_GT(lab.node(kB).tenure().number, before);
  ASSERT_TRUE(lab.node(kB).tenure().members.contains(kC));
  ASSERT_EQ(lab.node(kC).tenure().number, before);
  lab.kill(kA);
  lab.kill(kC);
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.node(kC).record.doubtful = true;
  lab.start(kC);
  lab.connect(kB, kC);
  lab.run();
  ASSERT_EQ(lab.node(kC).tenure(), lab.node(kB).tenure());
  EXPECT_TRUE(lab.node(kC).record.doubtful);
}

// Only another Primary says by its tenure that all that was written before is settled.
TEST(Adopting, ALaterTenureOfTheSamePrimarySettlesNothing) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Settled>(letter.send.message); };
  lab.write(kA);
  const uint64_t before = lab.node(kB).tenure().number;
  lab.kill(kC);
  lab.advance(seconds(10));
  ASSERT_GT(lab.node(kB).tenure().number, before);
  EXPECT_EQ(lab.show(kB).hot_extents, 1u);
}

// It is in the set by the tenure that it has just heard of, and its blank disk has none of that. As long as nobody has dropped it, the others
// would hold it for current (seed 1605).
TEST(Adopting, AMemberWhoseBytesDoNotCountSaysSo) {
  Lab lab;
  lab.create();
  lab.kill(kB);
  lab.blank(kB);
  lab.start(kB);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Prepare>(letter.send.message); };
  lab.connect_all();
  ASSERT_TRUE(lab.node(kB).tenure().members.contains(kB));
  ASSERT_TRUE(lab.node(kB).record.inconsistent);
  EXPECT_EQ(lab.show(kA).peers.at(0).disk, DiskState::inconsistent);
}

// A run of a Primary counts its writes from the beginning.
TEST(Adopting, WhatOnePrimaryHasSettledSaysNothingOfTheNextOnes) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  for (int i = 0; i < 20; ++i) lab.write(kA);
  lab.advance(seconds(10));
  ASSERT_EQ(lab.show(kB).hot_extents, 0u);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  lab.kill(kA);
  lab.start(kA);
  lab.connect_all();
  lab.promote(kA);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Settled>(letter.send.message); };
  lab.write(kA);
  lab.advance(seconds(10));
  EXPECT_EQ(lab.show(kB).hot_extents, 1u);
}

// A was writing there as C was lost, and may be gone next: then B has to level C.
TEST(Adopting, EveryMemberMarksWhatWasBeingWrittenForWhoLeaves) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kC);
  lab.advance(milliseconds(100));
  ASSERT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB}));
  EXPECT_EQ(lab.show(kB).dirty_blocks[kC.value], 1U);
  EXPECT_EQ(lab.show(kA).dirty_blocks[kC.value], 1U);
}

}  // namespace
}  // namespace lockstep
