#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

TEST(Inspect, ShowsANodeThatWasNeverUsed) {
  Lab lab;
  lab.advance(seconds(2));
  const Snapshot shown = lab.show(kA);
  EXPECT_EQ(shown.role, Role::secondary);
  EXPECT_EQ(shown.disk, DiskState::inconsistent);
  EXPECT_EQ(shown.reason, Reason::never_used);
  EXPECT_EQ(shown.size_bytes, kLabBytes);
  EXPECT_FALSE(shown.quorum);
  EXPECT_EQ(shown.votes_needed, 2u);
  EXPECT_EQ(shown.votes_answering, 1u);
  EXPECT_EQ(shown.peers.at(0).disk, DiskState::unknown);
  EXPECT_EQ(shown.peers.at(0).role, Role::unknown);
  EXPECT_GE(shown.peers.at(0).silent_for, seconds(2));
  EXPECT_GE(shown.voters.at(2).silent_for, seconds(2));
  lab.connect_all();
  EXPECT_EQ(lab.show(kA).peers.at(0).disk, DiskState::inconsistent);
}

TEST(Inspect, ShowsARunningPair) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  const Snapshot primary = lab.show(kA);
  EXPECT_EQ(primary.role, Role::primary);
  EXPECT_EQ(primary.disk, DiskState::up_to_date);
  EXPECT_EQ(primary.reason, Reason::none);
  EXPECT_GT(primary.lease_left, Duration{});
  EXPECT_FALSE(primary.suspended);
  EXPECT_EQ(primary.peers.at(0).role, Role::secondary);
  EXPECT_EQ(primary.peers.at(0).disk, DiskState::up_to_date);
  EXPECT_EQ(primary.peers.at(0).replication, ReplicationState::established);
  EXPECT_EQ(primary.votes_answering, 3u);
  const Snapshot secondary = lab.show(kB);
  EXPECT_EQ(secondary.reason, Reason::peer_is_primary);
  EXPECT_EQ(secondary.peers.at(0).role, Role::primary);
}

TEST(Inspect, ShowsAPeerThatIsGoneAndOutOfTheSetAsOutdated) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.advance(milliseconds(500));
  EXPECT_EQ(lab.show(kA).peers.at(0).disk, DiskState::outdated);
  EXPECT_EQ(lab.show(kA).peers.at(0).replication, ReplicationState::off);
}

// What waits then waits for the command, and no quorum is missing.
TEST(Inspect, AHandOverIsNoFreeze) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_meta = true;
  const AdminId id = lab.admin(kA, AdminOp::secondary);
  ASSERT_FALSE(lab.result(kA, id));
  ASSERT_EQ(lab.show(kA).role, Role::primary);
  EXPECT_FALSE(lab.show(kA).suspended);
  EXPECT_EQ(lab.show(kA).reason, Reason::none);
}

TEST(Inspect, AHandOverWithoutALeaseIsOne) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.lose_mail = [](const Lab::Mail& letter) {
    const Message& message = letter.send.message;
    return letter.send.to == kA && (std::holds_alternative<Promise>(message) || std::holds_alternative<LeaseGranted>(message));
  };
  const AdminId id = lab.admin(kA, AdminOp::secondary);
  lab.advance(seconds(10));
  ASSERT_FALSE(lab.result(kA, id));
  EXPECT_TRUE(lab.show(kA).suspended);
  EXPECT_EQ(lab.show(kA).reason, Reason::lease_lost);
}

TEST(Inspect, APrimaryWithoutAQuorumSaysSo) {
  const Seat second = witness_seat(1);
  Lab lab({.data_nodes = {kA, kB}, .witnesses = {kW, second}});
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_meta = true;
  lab.admin(kA, AdminOp::secondary);
  for (Seat seat : {kW, second}) lab.cut(kA, seat);
  EXPECT_FALSE(lab.show(kA).quorum);
  EXPECT_EQ(lab.show(kA).peers.at(0).disk, DiskState::up_to_date) << "what is missing is votes, not the copy";
  EXPECT_EQ(lab.show(kA).reason, Reason::no_quorum);
}

}  // namespace
}  // namespace lockstep
