// Tenures (P2, P8): the oracle is shown forks, minorities and Primaries that nobody elected, and must object; and chains that are right.
#include <gtest/gtest.h>

#include "sim/oracle_samples.h"

namespace lockstep::sim {
namespace {

const Boot kBoot = Uuid::from_words(3, 1);
const Boot kLaterBoot = Uuid::from_words(3, 2);

class RegisterTest : public testing::Test {
 protected:
  std::string accept(const Tenure& value, std::initializer_list<Seat> seats) {
    std::string wrong;
    for (Seat seat : seats) wrong += register_.acceptor_durable(seat, accepted(seat, value, value.origin)).wrong;
    return wrong;
  }
  // Decided by two: one of them is half.
  static Tenure of_two() {
    Tenure value = tenure(2, kA, {kA});
    value.voters.clear();
    for (Seat seat : {kA, kB}) value.voters.push_back({seat, acceptor(seat)});
    return value;
  }
  void fence_b() {
    register_.fence_completed(kA, kB, kBoot);
    register_.fence_told(kA, kB);
  }
  // Its only half accepts it, and acts on it.
  bool decided_by_half() {
    EXPECT_EQ(accept(of_two(), {kA}), "");
    return register_.adopted(kA, of_two()).good();
  }
  RegisterOracle register_;
};

TEST_F(RegisterTest, AChainIsRight) {
  EXPECT_EQ(accept(tenure(1, kA, {kA, kB}), {kA, kB}), "");
  EXPECT_EQ(accept(tenure(2, kB, {kB}), {kB, kW}), "");
  EXPECT_EQ(register_.adopted(kB, tenure(2, kB, {kB})).wrong, "");
  EXPECT_EQ(register_.promoted(kB, 1, tenure(2, kB, {kB})).wrong, "");
  EXPECT_EQ(register_.decided(), 2U);
}

TEST_F(RegisterTest, ObjectsToAFork) {
  EXPECT_EQ(accept(tenure(2, kA, {kA}), {kA, kW}), "");
  EXPECT_NE(accept(tenure(2, kB, {kB}), {kB, kW}), "");
}

TEST_F(RegisterTest, ObjectsToGoingBack) {
  EXPECT_EQ(accept(tenure(5, kA, {kA}), {kA, kW}), "");
  EXPECT_NE(accept(tenure(4, kB, {kB}), {kB, kW}), "");
}

TEST_F(RegisterTest, ObjectsToTwoValuesUnderOneBallot) {
  EXPECT_EQ(register_.acceptor_durable(kA, accepted(kA, tenure(1, kA, {kA}), {5, kA, 1})).wrong, "");
  EXPECT_NE(register_.acceptor_durable(kB, accepted(kB, tenure(1, kA, {kA, kB}), {5, kA, 1})).wrong, "");
}

TEST_F(RegisterTest, ObjectsToActingOnAMinority) {
  EXPECT_EQ(accept(tenure(1, kA, {kA}), {kA}), "");
  EXPECT_NE(register_.adopted(kA, tenure(1, kA, {kA})).wrong, "");
}

TEST_F(RegisterTest, AForeignAcceptorIsNoVote) {
  Tenure value = tenure(1, kA, {kA});
  EXPECT_EQ(accept(value, {kA}), "");
  AcceptorRecord stranger = accepted(kW, value, value.origin);
  stranger.acceptor = Uuid::from_words(9, 9);
  EXPECT_EQ(register_.acceptor_durable(kW, stranger).wrong, "");
  EXPECT_NE(register_.adopted(kA, value).wrong, "");
}

TEST_F(RegisterTest, HalfAndACompletedFenceDecide) {
  EXPECT_FALSE(decided_by_half());
  register_ = {};
  fence_b();
  register_.round_started(of_two().origin);
  EXPECT_EQ(register_.members_owed(), SeatSet{});  // nothing was decided before
  EXPECT_TRUE(decided_by_half());
  EXPECT_EQ(register_.members_owed(), SeatSet{kA});
}

TEST_F(RegisterTest, AFenceCountsForWhoIsToldOfItAndAsARoundBegins) {
  register_.fence_completed(kA, kB, kBoot);
  register_.round_started(of_two().origin);
  EXPECT_FALSE(decided_by_half());
  register_ = {};
  register_.round_started(of_two().origin);
  fence_b();
  EXPECT_FALSE(decided_by_half());
  register_ = {};
  fence_b();
  register_.started(kA);  // it forgets
  register_.round_started(of_two().origin);
  EXPECT_FALSE(decided_by_half());
  register_ = {};
  fence_b();
  register_.round_started({of_two().origin.counter, kB, 1});  // another candidate's
  EXPECT_FALSE(decided_by_half());
}

// Asked for by its earlier run, which is told no more.
TEST_F(RegisterTest, AFenceThatEndsAgainTakesNothingBack) {
  fence_b();
  register_.fence_completed(kA, kB, kLaterBoot);
  register_.round_started(of_two().origin);
  EXPECT_TRUE(decided_by_half());
}

// What the later boot decides passes through kA's acceptor with a higher ballot (seed 425314924654).
TEST_F(RegisterTest, ARoundThatBeganAfterAFenceMayEndAfterThatNodeIsMetAgain) {
  fence_b();
  register_.round_started(of_two().origin);
  register_.met(kA, kB, kLaterBoot);
  EXPECT_TRUE(decided_by_half());
}

TEST_F(RegisterTest, AHistoryGoesOnWhereOneOfItsNodesHasGivenItUp) {
  Tenure forced = tenure(3, kB, {kB});
  forced.history = Uuid::from_words(5, 1);
  register_.force_asked(kB);
  EXPECT_EQ(accept(tenure(2, kA, {kA, kB}), {kA, kW}), "");
  EXPECT_EQ(accept(forced, {kB, kW}), "");
  register_.abandoned(tenure(2, kA, {kA, kB}).history);
  EXPECT_EQ(accept(tenure(3, kA, {kA}), {kA, kW}), "");
  Tenure stranger = tenure(9, kA, {kA});
  stranger.history = Uuid::from_words(8, 1);
  EXPECT_NE(accept(stranger, {kA, kW}), "");
}

TEST_F(RegisterTest, AFenceCountsUntilTheNodeIsMetAgain) {
  fence_b();
  register_.met(kA, kB, kLaterBoot);
  register_.round_started(of_two().origin);
  EXPECT_FALSE(decided_by_half());
}

// Its hello was on the way as it was fenced; the report comes after that (seed 369888239899).
TEST_F(RegisterTest, LateMailOfTheFencedBootDoesNotVoidTheFence) {
  for (const bool later_boot : {false, true}) {
    SCOPED_TRACE(later_boot);
    register_ = {};
    register_.fence_completed(kA, kB, kBoot);
    register_.met(kA, kB, later_boot ? kLaterBoot : kBoot);
    register_.fence_told(kA, kB);
    register_.round_started(of_two().origin);
    EXPECT_EQ(decided_by_half(), !later_boot);
  }
}

TEST_F(RegisterTest, WhatAFenceMayHaveDecidedStaysSo) {
  fence_b();
  register_.round_started(of_two().origin);
  EXPECT_EQ(accept(of_two(), {kA}), "");
  register_.met(kA, kB, kLaterBoot);
  EXPECT_EQ(register_.adopted(kA, of_two()).wrong, "");
}

// Two voters get a third; one of the two is fenced before it has answered. The half of the older voters agrees, and two of the three.
TEST_F(RegisterTest, AHalfMayDecideThatThereAreOtherVoters) {
  for (const bool fenced : {false, true}) {
    register_ = {};
    Tenure before = tenure(1, kA, {kA});
    before.voters = of_two().voters;
    EXPECT_EQ(accept(before, {kA, kB}), "");
    Tenure next = tenure(2, kA, {kA});
    next.voter_set = before.voter_set + 1;
    if (fenced) fence_b();
    register_.round_started(next.origin);
    EXPECT_EQ(accept(next, {kW}), "");
    EXPECT_FALSE(register_.adopted(kA, next).good());  // one of three, and nobody of the older two
    EXPECT_EQ(accept(next, {kA}), "");
    EXPECT_EQ(register_.adopted(kA, next).good(), fenced);
  }
}

TEST_F(RegisterTest, ObjectsToAPrimaryOutsideTheSet) {
  EXPECT_EQ(accept(tenure(1, kA, {kB}), {kA, kB}), "");
  EXPECT_NE(register_.promoted(kA, 1, tenure(1, kA, {kB})).wrong, "");
}

TEST_F(RegisterTest, ObjectsToAPrimaryOfAnotherStart) {
  EXPECT_EQ(accept(tenure(1, kA, {kA}), {kA, kB}), "");
  EXPECT_NE(register_.promoted(kA, 2, tenure(1, kA, {kA})).wrong, "");
}

TEST_F(RegisterTest, AForcedHistoryThatWasBegunAgainIsNoLongerTheLatest) {
  const auto forced = [](uint64_t history, uint64_t round) {
    Tenure value = tenure(1, kA, {kA});
    value.history = Uuid::from_words(history, 1);
    value.parent = tenure(1, kA, {kA, kB}).history;
    value.origin = {round, kA, 1};
    value.voters = {{kA, acceptor(kA)}};
    return value;
  };
  for (const bool used : {false, true}) {
    SCOPED_TRACE(used);
    register_ = {};
    register_.force_asked(kA);
    EXPECT_EQ(accept(tenure(1, kB, {kA, kB}), {kA, kB}), "");
    EXPECT_EQ(register_.adopted(kA, tenure(1, kB, {kA, kB})).wrong, "");
    EXPECT_EQ(accept(forced(5, 50), {kA}), "");
    if (used) {
      EXPECT_EQ(register_.adopted(kA, forced(5, 50)).wrong, "");
    }
    EXPECT_EQ(accept(forced(6, 60), {kA}), "");
    EXPECT_EQ(register_.adopted(kA, forced(6, 60)).wrong, "");
    register_.abandoned(forced(6, 60).history);
    EXPECT_EQ(*register_.latest() == forced(5, 50), used);
  }
}

}  // namespace
}  // namespace lockstep::sim
