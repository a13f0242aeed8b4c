#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool seated(Lab& lab, Seat node, Seat voter) {
  const auto& voters = lab.node(node).tenure().voters;
  return std::any_of(voters.begin(), voters.end(), [voter](const Voter& v) { return v.seat == voter; });
}

// B is forced while A and the witness are away; A gives its data up and comes over.
void forced_and_joined(Lab& lab) {
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  lab.cut(kB, kW);
  lab.advance(seconds(5));
  const AdminId id = lab.admin(kB, AdminOp::primary_force);
  lab.advance(seconds(4));
  ASSERT_TRUE(lab.ok(kB, id)) << code_of(lab.reason(kB, id));
  lab.start(kA);
  lab.connect(kA, kB);
  lab.run();
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::discard_history, kB)));
  lab.kill(kA);
  lab.start(kA);
  lab.connect(kA, kB);
  lab.advance(seconds(8));
  ASSERT_TRUE(lab.node(kB).tenure().members.contains(kA));
}

// With a set of two voters, one that never comes over could neither vote nor be done without (seed 154769).
TEST(Goals, ASeatIsGivenOnlyToAVoterThatHasAcceptedSomethingInThisHistory) {
  Lab lab;
  forced_and_joined(lab);
  ASSERT_FALSE(seated(lab, kB, kW));
  lab.lose_mail = [](const Lab::Mail& letter) {
    return letter.from == kW && std::holds_alternative<Accepted>(letter.send.message);
  };
  lab.connect(kB, kW);
  lab.advance(seconds(8));
  EXPECT_FALSE(seated(lab, kB, kW));
  EXPECT_TRUE(lab.node(kB).primary);
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(8));
  EXPECT_TRUE(seated(lab, kB, kW));
}

LabOptions with_a_fence() {
  LabOptions options;
  options.configure = [](CoreConfig& config) {
    config.fence_handler = true;
    config.fencing = FencingPolicy::resource_and_stonith;
    config.witness_timeout = seconds(2);
  };
  return options;
}

TEST(Goals, ASilentWitnessLosesItsSeatWhileBothNodesAreThere) {
  Lab lab(with_a_fence());
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kW);
  lab.cut(kB, kW);
  lab.advance(milliseconds(1900));
  EXPECT_TRUE(seated(lab, kA, kW));
  lab.advance(milliseconds(500));
  EXPECT_FALSE(seated(lab, kA, kW));
  EXPECT_TRUE(lab.node(kB).noted(Notice::voter_unseated));
  lab.connect(kA, kW);
  lab.connect(kB, kW);
  lab.advance(seconds(5));
  EXPECT_TRUE(seated(lab, kA, kW));
}

TEST(Goals, ASilentWitnessKeepsItsSeatWithoutAHandlerOrWithoutThePeer) {
  Lab without;
  without.create();
  without.promote(kA);
  without.cut(kA, kW);
  without.cut(kB, kW);
  without.advance(seconds(10));
  EXPECT_TRUE(seated(without, kA, kW));
  Lab alone(with_a_fence());
  alone.create();
  alone.promote(kA);
  alone.cut(kA, kB);
  alone.advance(seconds(1));
  alone.cut(kA, kW);
  alone.advance(seconds(10));
  EXPECT_TRUE(seated(alone, kA, kW));
}

TEST(Goals, ASilentWitnessKeepsItsSeatWhileADataNodeIsAway) {
  LabOptions options = with_a_fence();
  options.witnesses = {kW, witness_seat(1), witness_seat(2)};
  Lab lab(options);
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.cut(kA, witness_seat(2));
  lab.advance(seconds(10));
  ASSERT_TRUE(lab.show(kA).quorum);
  EXPECT_TRUE(seated(lab, kA, witness_seat(2)));
}

// The first tenure of B as Primary, as the witness was asked to accept it.
SeatSet first_members_of_b(const Lab& lab) {
  for (const Lab::Mail& letter : lab.delivered) {
    const auto* accept = std::get_if<Accept>(&letter.send.message);
    if (accept && letter.send.to == kW && accept->tenure.primary && accept->tenure.primary->node == kB)
      return accept->tenure.members;
  }
  return {};
}

// After a clean hand-over the set stays, but for copies that are known to be bad by then: a tenure with such a one would count on it.
TEST(Goals, APromotionKeepsNoMemberThatIsKnownToBeNoGoodCopy) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.lose_mail = [](const Lab::Mail& letter) {
    return letter.from == kA && std::holds_alternative<Prepare>(letter.send.message);
  };
  lab.node(kC).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab.inject(kA, kC, FlushRequest{stamp_of(lab.node(kC).tenure()), OpId{7}});
  ASSERT_EQ(lab.show(kC).disk, DiskState::diskless);
  ASSERT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB, kC})) << "nobody has dropped it yet";
  lab.promote(kB);
  EXPECT_EQ(first_members_of_b(lab), (SeatSet{kA, kB}));
}

// A blank one has taken the seat of a member over. It says itself that it has nothing, but that word is on its way.
TEST(Goals, AnotherDiskInTheSeatOfAMemberIsNoGoodCopy) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.lose_mail = [](const Lab::Mail& letter) {
    return letter.from == kA && std::holds_alternative<Prepare>(letter.send.message);
  };
  lab.kill(kC);
  lab.blank(kC);
  lab.start(kC);
  lab.hold_mail = [](const Lab::Mail& letter) {
    return letter.from == kC && std::holds_alternative<DiskCondition>(letter.send.message);
  };
  lab.connect_all();
  ASSERT_TRUE(lab.node(kC).record.adopted);
  ASSERT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB, kC})) << "nobody has dropped it yet";
  lab.promote(kB);
  EXPECT_EQ(first_members_of_b(lab), (SeatSet{kA, kB}));
}

// Whoever copies to others while nobody is Primary changes the set, and nothing else.
TEST(Goals, ASeatIsFilledByAPrimaryThatServes) {
  Lab lab;
  lab.create();
  lab.cut(kA, kW);
  lab.cut(kB, kW);
  lab.start_witness(kW, uuid(777));
  lab.connect_all();
  lab.advance(seconds(5));
  EXPECT_EQ(lab.node(kA).tenure().voters[2], (Voter{kW, acceptor_of(kW)}));
  EXPECT_EQ(lab.node(kA).tenure().voter_set, 1u);
  lab.promote(kA);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.node(kA).tenure().voters[2], (Voter{kW, uuid(777)}));
}

// Seed 1135: or it would never have its own vote again.
TEST(Goals, APrimaryWhoseOwnSeatNamesAnOlderAcceptorFillsIt) {
  Lab lab;
  lab.create();
  lab.kill(kA);
  lab.node(kA).record.acceptor = {};
  lab.node(kA).record.acceptor.acceptor = uuid(901);
  lab.start(kA);
  lab.connect_all();
  lab.promote(kA);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.node(kA).tenure().voters[0], (Voter{kA, uuid(901)}));
}

}  // namespace
}  // namespace lockstep
