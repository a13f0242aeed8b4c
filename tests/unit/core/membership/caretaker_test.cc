#include <gtest/gtest.h>

#include <utility>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

// Primary and peer are killed with extents set, and come back; nobody is promoted.
void end_uncleanly(Lab& lab) {
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kA);
  lab.kill(kB);
  lab.start(kA);
  lab.start(kB);
  lab.connect_all();
  lab.run();
}

bool clean_with_both(Lab& lab) {
  const Tenure tenure = lab.node(kA).tenure();
  return tenure.clean && !tenure.primary && tenure.members == SeatSet{kA, kB} && lab.node(kB).tenure() == tenure;
}

TEST(Caretaker, LevelsAndHandsBack) {
  Lab lab;
  end_uncleanly(lab);
  lab.advance(seconds(9));
  EXPECT_FALSE(lab.node(kA).noted(Notice::caretaker_begins)) << "there is time for a manager to promote somebody";
  lab.advance(seconds(10));
  EXPECT_TRUE(lab.node(kA).noted(Notice::caretaker_begins));
  EXPECT_FALSE(lab.node(kA).primary) << "no client sees a Primary";
  EXPECT_TRUE(clean_with_both(lab));
  EXPECT_FALSE(lab.node(kB).noted(Notice::caretaker_begins));
}

TEST(Caretaker, ServesNobodyAndBecomesPrimaryByCommand) {
  Lab lab;
  end_uncleanly(lab);
  lab.node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };  // the resync does not end
  lab.advance(seconds(13));
  ASSERT_TRUE(lab.node(kA).noted(Notice::caretaker_begins));
  EXPECT_TRUE(lab.show(kA).caretaker);
  EXPECT_EQ(lab.show(kA).role, Role::secondary);
  EXPECT_EQ(lab.show(kB).peers.at(0).role, Role::secondary) << "and its peer knows";
  EXPECT_EQ(lab.answer(kA, lab.write(kA)), IoStatus::shut_down);
  EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::primary)));
  EXPECT_TRUE(lab.node(kA).primary);
  EXPECT_EQ(lab.show(kB).peers.at(0).role, Role::primary);
}

TEST(Caretaker, ForceIsAPromotionLikeAnother) {
  Lab lab;
  end_uncleanly(lab);
  lab.node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  lab.advance(seconds(13));
  ASSERT_TRUE(lab.show(kA).caretaker);
  EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::primary_force)));
  EXPECT_TRUE(lab.node(kA).primary);
}

TEST(Caretaker, YieldsToAPromotionElsewhere) {
  Lab lab;
  end_uncleanly(lab);
  // The flush before the set of one passes; then the hand-over takes a while.
  lab.node(kA).hold_disk = [passed = false](const DiskIo& io) mutable {
    return io.kind == OpKind::flush && std::exchange(passed, true);
  };
  lab.advance(seconds(19));
  ASSERT_TRUE(lab.show(kA).caretaker);
  ASSERT_TRUE(lab.node(kB).tenure().members.contains(kB));
  const AdminId asked = lab.admin(kB, AdminOp::primary);
  EXPECT_FALSE(lab.result(kB, asked)) << "it waits";
  lab.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab.advance(seconds(3));
  EXPECT_TRUE(lab.ok(kB, asked));
  EXPECT_TRUE(lab.node(kB).primary);
}

TEST(Caretaker, WaitsForEveryMember) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kA);
  lab.start(kA);
  lab.cut(kA, kB);
  lab.connect(kA, kW);
  lab.advance(seconds(30));
  EXPECT_FALSE(lab.node(kA).noted(Notice::caretaker_begins)) << "the other copy may have to be the Primary's";
}

}  // namespace
}  // namespace lockstep
