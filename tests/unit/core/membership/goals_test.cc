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

}  // namespace
}  // namespace lockstep
