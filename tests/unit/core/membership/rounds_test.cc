#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool is_accepted(const Lab::Mail& letter) { return std::holds_alternative<Accepted>(letter.send.message); }
bool none(const Lab::Mail&) { return false; }

TEST(Rounds, AProposalWhoseOutcomeIsUnknownIsSettledBeforeAnythingElse) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.lose_mail = is_accepted;
  lab.cut(kA, kB);
  const ClientIo io = lab.write(kA);
  lab.advance(milliseconds(500));
  EXPECT_EQ(lab.witness().record().tenure->members, SeatSet{kA}) << "accepted, and the proposer does not know";
  EXPECT_FALSE(lab.answer(kA, io));
  const uint64_t number = lab.witness().record().tenure->number;
  lab.lose_mail = none;
  lab.advance(seconds(2));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab.node(kA).tenure().number, number) << "the very value, proposed again";
}

// The command ended before its lease came, so the tenure is handed back. A command that comes meanwhile waits for one of its own.
TEST(Rounds, ATenureThatIsHandedBackMakesNoPrimary) {
  Lab lab;
  lab.create();
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<LeaseGranted>(letter.send.message); };
  const AdminId first = lab.admin(kA, AdminOp::primary);
  lab.advance(milliseconds(100));
  const uint64_t won = lab.node(kA).tenure().number;
  ASSERT_TRUE(lab.node(kA).tenure().primary);
  const auto is_accept = [](const Lab::Mail& letter) { return std::holds_alternative<Accept>(letter.send.message); };
  lab.lose_mail = [is_accept](const Lab::Mail& letter) {
    return std::holds_alternative<LeaseGranted>(letter.send.message) || is_accept(letter);
  };
  while (!lab.result(kA, first)) lab.advance(milliseconds(10));
  EXPECT_FALSE(lab.ok(kA, first));
  lab.lose_mail = is_accept;
  lab.advance(milliseconds(400));  // the lease is there, the outcome of handing back is not
  const AdminId second = lab.admin(kA, AdminOp::primary);
  EXPECT_FALSE(lab.node(kA).primary);
  lab.lose_mail = none;
  lab.node(kA).hold_meta = true;
  lab.advance(milliseconds(600));
  EXPECT_TRUE(lab.node(kA).noted(Notice::tenure_decided));
  EXPECT_FALSE(lab.node(kA).primary);
  lab.node(kA).hold_meta = false;
  lab.advance(seconds(2));
  EXPECT_TRUE(lab.ok(kA, second));
  EXPECT_TRUE(lab.node(kA).primary);
  EXPECT_GE(lab.node(kA).tenure().number, won + 2);
}

TEST(Rounds, OfTwoCandidatesOneBecomesPrimary) {
  Lab lab;
  lab.create();
  lab.hold_mail = [](const Lab::Mail&) { return true; };
  const AdminId a = lab.admin(kA, AdminOp::primary);
  const AdminId b = lab.admin(kB, AdminOp::primary);
  lab.hold_mail = none;
  lab.advance(seconds(9));
  EXPECT_NE(lab.ok(kA, a), lab.ok(kB, b));
  EXPECT_NE(lab.node(kA).primary, lab.node(kB).primary);
}

TEST(Rounds, APromotionWaitsForVotersThatStartedAMomentAgo) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  lab.kill(kB);
  lab.start(kB);
  lab.connect(kB, kW);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  EXPECT_FALSE(lab.result(kB, id));
  lab.advance(milliseconds(500));
  EXPECT_NE(lab.show(kB).reason, Reason::none);
  lab.advance(seconds(4));
  EXPECT_TRUE(lab.ok(kB, id));
}

TEST(Rounds, AnEmptiedWitnessIsSeatedAgainByThePrimary) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kW);
  lab.cut(kB, kW);
  lab.start_witness(kW, uuid(777));
  lab.connect_all();
  lab.advance(seconds(2));
  EXPECT_EQ(lab.node(kA).tenure().voters[2], (Voter{kW, uuid(777)}));
  EXPECT_EQ(lab.node(kA).tenure().voter_set, 2u);
  EXPECT_EQ(lab.witness().record().tenure, lab.node(kA).tenure());
}

TEST(Rounds, AnEmptiedWitnessIsNotSeatedWhereTheOthersAreNoMajority) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kW);
  lab.cut(kB, kW);
  lab.cut(kA, kB);
  lab.start_witness(kW, uuid(777));
  lab.connect(kA, kW);
  lab.advance(seconds(10));
  EXPECT_EQ(lab.node(kA).tenure().voters[2], (Voter{kW, acceptor_of(kW)}));
  EXPECT_TRUE(lab.show(kA).suspended);
  EXPECT_TRUE(lab.show(kA).voters.at(2).empty_seat);
  EXPECT_EQ(lab.show(kA).votes_answering, 1u);
}

TEST(Rounds, ANodeWithAnOlderVoterSetLearnsTheLaterOneFromTheWitness) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.advance(milliseconds(500));
  Tenure later = lab.node(kA).tenure();
  lab.kill(kA);
  lab.advance(seconds(5));
  later.number += 1;
  later.voter_set = 2;
  later.primary.reset();
  later.clean = true;
  later.members = {kA, kB};
  later.origin = ballot(1000, kA);
  ASSERT_TRUE(lab.witness().accept(lab.now, {ballot(1000, kA), holder_of(kA), later}).durable_first);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(7));
  EXPECT_TRUE(lab.ok(kB, id));
  EXPECT_EQ(lab.node(kB).tenure().voter_set, 2u);
}

TEST(Rounds, AVoterThatNamesAnotherHistoryDecidesNothing) {
  Lab lab({.data_nodes = {kA}, .witnesses = {kW}});
  lab.create();
  Tenure other = lab.node(kA).tenure();
  other.history = uuid(900);
  ASSERT_TRUE(lab.witness().accept(lab.now, {ballot(1000, kB), holder_of(kB), other, true}).durable_first);
  const AdminId id = lab.admin(kA, AdminOp::primary);
  lab.advance(seconds(9));
  EXPECT_EQ(lab.reason(kA, id), Reason::different_history);
}

TEST(Rounds, AVoterWhoseTenureIsLostIsTaughtAgainByThePrimary) {
  Lab lab({.data_nodes = {kA, kB}, .witnesses = {kW}});
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kW);
  lab.kill(kB);
  lab.advance(milliseconds(10));
  lab.connect(kA, kW);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.witness().record().tenure, lab.node(kA).tenure());
  EXPECT_EQ(lab.witness().lease_holder(lab.now)->node, kA);
  EXPECT_FALSE(lab.show(kA).suspended);
}

TEST(Rounds, ANodeWhoseMetadataFailedIsAVoterNoMore) {
  Lab lab;
  lab.create();
  lab.node(kB).meta_ok = false;
  lab.promote(kA);
  EXPECT_TRUE(lab.node(kB).noted(Notice::metadata_failed));
  lab.write(kA);
  lab.cut(kA, kW);
  lab.advance(seconds(4));
  EXPECT_TRUE(lab.show(kA).suspended) << "B answers no more, for good";
}

// C may be Primary there, and count on it.
TEST(Rounds, AVoterOfAnotherHistoryIsNotTakenAlongWhileADataNodeIsAway) {
  constexpr Seat other = witness_seat(1);
  Lab lab(LabOptions{{kA, kB, kC}, {kW, other}, [](CoreConfig&) {}});
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kC);
  lab.cut(kB, kC);
  lab.advance(seconds(1));
  Tenure forced = lab.node(kA).tenure();
  forced.history = uuid(900);
  lab.witness(other).released({*forced.primary});  // the lease that it granted A is over
  ASSERT_TRUE(lab.witness(other).accept(lab.now, {ballot(1000, kC), holder_of(kC), forced, true}).durable_first);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  lab.promote(kA);  // by now A has heard what ballot was promised there
  ASSERT_GT(lab.node(kA).tenure().origin, ballot(1000, kC));
  EXPECT_EQ(lab.witness(other).record().tenure->history, uuid(900));
}

// Seed 212572: B and the witness had accepted it, and the node that proposed it was there, but in a later run that knew nothing of it.
TEST(Rounds, WhatIsLeftUndecidedByAnEarlierRunIsSettledThoughNobodyIsPromoted) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_meta_of = [](LabNode::Meta of) {
    return of == LabNode::Meta::record;
  };  // it forgets its own promise and acceptance
  lab.lose_mail = is_accepted;
  lab.admin(kA, AdminOp::secondary);
  lab.advance(milliseconds(100));
  ASSERT_FALSE(lab.node(kB).record.acceptor.tenure->primary) << "accepted";
  ASSERT_TRUE(lab.node(kA).record.acceptor.tenure->primary);
  lab.kill(kA);
  lab.node(kA).hold_meta_of = [](LabNode::Meta) { return false; };
  lab.lose_mail = none;
  lab.start(kA);
  lab.connect_all();
  lab.advance(seconds(9));
  ASSERT_FALSE(lab.node(kA).noted(Notice::caretaker_begins));
  EXPECT_FALSE(lab.node(kA).tenure().primary);
  EXPECT_EQ(lab.node(kB).tenure(), lab.node(kA).tenure());
}

// The command ends at its deadline; what it proposed may be decided, so nobody is served until it is known, and people are told why.
TEST(Rounds, ADemotionThatEndedUndecidedIsAFreezeWithAReason) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.lose_mail = is_accepted;
  const AdminId id = lab.admin(kA, AdminOp::secondary);
  lab.advance(seconds(16));
  ASSERT_TRUE(lab.result(kA, id));
  ASSERT_FALSE(lab.ok(kA, id));
  EXPECT_TRUE(lab.show(kA).suspended);
  EXPECT_EQ(lab.show(kA).reason, Reason::no_quorum);
  const auto& notes = lab.node(kA).notes;
  const auto frozen = std::find_if(notes.rbegin(), notes.rend(), [](const Note& note) { return note.notice == Notice::frozen; });
  ASSERT_NE(frozen, notes.rend());
  EXPECT_EQ(frozen->a, static_cast<uint64_t>(Reason::no_quorum));
}

// Two of three voters started a moment ago: they vote for the tenure, and grant no lease until they have been silent for as long as the
// longest one. (Found by the system test of move-md: a thousand rounds a second, each of them durable on every voter.)
TEST(LostLease, IsNotAskedAboutAllTheTime) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.advance(seconds(4));
  lab.kill(kB);
  lab.restart_witness(kW, seconds(3));
  lab.cut(kA, kW);
  lab.start(kB);
  lab.connect(kA, kW);
  lab.connect(kB, kW);
  lab.connect(kA, kB);
  lab.node(kA).notes.clear();
  const ClientIo write = lab.write(kA);
  const auto rounds = [&lab] {
    const auto& notes = lab.node(kA).notes;
    return std::count_if(notes.begin(), notes.end(), [](const Note& note) { return note.notice == Notice::round_started; });
  };
  lab.advance(seconds(3));
  ASSERT_TRUE(lab.node(kA).noted(Notice::frozen));
  EXPECT_LE(rounds(), 40);
  lab.advance(milliseconds(500));
  EXPECT_EQ(lab.answer(kA, write), IoStatus::ok) << "as soon as they grant it";
}

}  // namespace
}  // namespace lockstep
