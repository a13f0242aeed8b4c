// The first tenure: new-current-uuid --clear-bitmap, and `primary --force` on disks that were never used.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

TEST(Creation, DeclaresBothDisksIdenticalAndInTheSet) {
  Lab lab;
  lab.create();
  for (Seat seat : {kA, kB}) {
    EXPECT_EQ(lab.node(seat).tenure().members, (SeatSet{kA, kB}));
    EXPECT_TRUE(lab.node(seat).tenure().clean);
    EXPECT_EQ(lab.node(seat).tenure().number, 1u);
    EXPECT_EQ(lab.show(seat).disk, DiskState::up_to_date);
    EXPECT_EQ(lab.show(seat).dirty_blocks[kA.value] + lab.show(seat).dirty_blocks[kB.value], 0u);
  }
}

TEST(Creation, NeedsEveryDataNode) {
  Lab lab;
  lab.connect(kA, kW);
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  EXPECT_FALSE(lab.result(kA, id)) << "links may come up in a moment";
  lab.advance(seconds(2));
  EXPECT_EQ(lab.reason(kA, id), Reason::need_all_data_nodes);
}

// Seed 1605: one whose voter is not named would hold its copy for Inconsistent, and the others hold it for current.
TEST(Creation, WaitsForTheVoiceOfEveryDataNode) {
  Lab lab;
  lab.connect_all();
  lab.lose_mail = [](const Lab::Mail& letter) {
    return letter.from == kB && std::holds_alternative<Promise>(letter.send.message);
  };
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(seconds(3));
  EXPECT_FALSE(lab.node(kA).record.adopted);
  EXPECT_FALSE(lab.result(kA, id));
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(3));
  EXPECT_TRUE(lab.ok(kA, id));
  EXPECT_EQ(lab.node(kA).tenure().voters[1], (Voter{kB, acceptor_of(kB)}));
}

TEST(Creation, IsRefusedOnceUsed) {
  Lab lab;
  lab.create();
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::new_current_uuid)), Reason::already_used);
}

TEST(Creation, IsRefusedWhereTheWitnessKnowsAnEarlierLife) {
  Lab lab;
  const Tenure earlier = tenure_of({kA, kB}, {witness_seat(3)});
  ASSERT_TRUE(lab.witness().accept(lab.now, {ballot(1, kB), holder_of(kB), earlier}).durable_first);
  lab.connect_all();
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.reason(kA, id), Reason::earlier_life);
}

// A witness that has just started says nothing for a while: the others may not outvote what it knows (its fault in the simulator:
// earlier-life).
TEST(Creation, WaitsForWhatASilentWitnessKnows) {
  Lab lab;
  const Tenure earlier = tenure_of({kA, kB}, {witness_seat(3)});
  ASSERT_TRUE(lab.witness().accept(lab.now, {ballot(7, kB), holder_of(kB), earlier}).durable_first);
  lab.restart_witness(kW, seconds(5));
  lab.connect_all();
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(seconds(3));
  EXPECT_FALSE(lab.result(kA, id));
  EXPECT_FALSE(lab.node(kA).record.adopted);
  lab.advance(seconds(4));
  EXPECT_EQ(lab.reason(kA, id), Reason::earlier_life);
}

TEST(Creation, SaysThatAVoterIsSilent) {
  Lab lab;
  lab.restart_witness(kW, seconds(40));
  lab.connect_all();
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(seconds(16));
  EXPECT_EQ(lab.reason(kA, id), Reason::voters_starting);
}

TEST(Creation, ByForceSaysThatAVoterIsSilent) {
  Lab lab;
  lab.restart_witness(kW, seconds(40));
  lab.connect_all();
  const AdminId id = lab.admin(kA, AdminOp::primary_force);
  lab.advance(seconds(16));
  EXPECT_EQ(lab.reason(kA, id), Reason::voters_starting);
}

// Nobody is starting any more by the end.
TEST(Creation, TellsTheLastObstacle) {
  Lab lab;
  lab.restart_witness(kW, seconds(1));
  lab.connect_all();
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(milliseconds(300));
  for (Seat seat : {kB, kW}) lab.cut(kA, seat);
  lab.advance(seconds(16));
  EXPECT_EQ(lab.reason(kA, id), Reason::no_quorum);
}

// The link to the witness comes up a moment later.
TEST(Creation, WaitsForTheLinksOfAllVoters) {
  Lab lab;
  const Tenure earlier = tenure_of({kA, kB}, {witness_seat(3)});
  ASSERT_TRUE(lab.witness().accept(lab.now, {ballot(1, kB), holder_of(kB), earlier}).durable_first);
  lab.connect(kA, kB);
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(milliseconds(900));
  EXPECT_FALSE(lab.result(kA, id));
  lab.connect(kA, kW);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.reason(kA, id), Reason::earlier_life);
}

TEST(Creation, EndsWithoutQuorumWhenVotersStaySilent) {
  Lab lab({.data_nodes = {kA}, .witnesses = {kW, witness_seat(1)}});
  lab.connect(kA, kW);
  lab.lose_mail = [](const Lab::Mail& letter) { return letter.send.to == kW; };
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(seconds(16));
  EXPECT_EQ(lab.reason(kA, id), Reason::no_quorum);
}

// A witness that knows another life of the resource, met when it is in use already: it comes over as soon as all data nodes are there (ADR
// 12), and until then its seat is empty, not a vote that nobody has.
TEST(Creation, GivesNoSeatToAWitnessThatVotesInAnEarlierLife) {
  const SeatSet others{witness_seat(1), witness_seat(2)};
  Lab lab({.data_nodes = {kA, kB}, .witnesses = SeatSet{kW} | others});
  const Tenure earlier = tenure_of({kA, kB}, {kW});
  ASSERT_TRUE(lab.witness().accept(lab.now, {ballot(7, kB), holder_of(kB), earlier}).durable_first);
  lab.connect(kA, kB);
  for (Seat witness : others) {
    for (Seat node : {kA, kB}) lab.connect(node, witness);
  }
  const AdminId id = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(seconds(2));
  ASSERT_TRUE(lab.ok(kA, id));
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.connect(kA, kW);
  lab.advance(seconds(12));
  EXPECT_TRUE(lab.node(kA).tenure().voters[2].acceptor.is_nil());
  EXPECT_EQ(lab.show(kA).votes_answering, 3u);
  lab.connect(kA, kB);
  lab.advance(seconds(12));
  EXPECT_EQ(lab.node(kA).tenure().voters[2].acceptor, acceptor_of(kW));
  EXPECT_EQ(lab.witness().record().tenure->history, lab.node(kA).tenure().history);
  EXPECT_EQ(lab.show(kA).votes_answering, 5u);
}

}  // namespace
}  // namespace lockstep
