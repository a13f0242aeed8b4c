// What a third node learns of a copy that two others levelled.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

// B gets a blank disk, while A is Primary and C is not connected with B.
void lose_b(Lab& lab) {
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.advance(seconds(2));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kC}));
}

void blank_disk_for_b(Lab& lab) {
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

void replace_b(Lab& lab) {
  lose_b(lab);
  blank_disk_for_b(lab);
}

uint64_t dirty(Lab& lab, Seat at, Seat against) { return lab.show(at).dirty_blocks[against.value]; }

// B missed a write of the two others and is levelled again by A. C has not heard of that, since what A decides is held back from it.
void b_joins_unheard_by_c(Lab& lab) {
  lose_b(lab);
  lab.write(kA);
  lab.hold_mail = [](const Lab::Mail& letter) {
    return letter.from == kA && letter.send.to == kC && std::holds_alternative<TenureDecided>(letter.send.message);
  };
  lab.start(kB);
  lab.connect(kA, kB);
  lab.connect(kB, kW);
  lab.advance(seconds(2));
  ASSERT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB, kC}));
  ASSERT_EQ(lab.node(kC).tenure().members, (SeatSet{kA, kC}));
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

// What A levelled is gone; the disk that sits in its place has none of it.
TEST(Learning, ABlankDiskIsNotTakenForTheCopyThatWasLevelled) {
  Lab lab(three_data_nodes());
  b_joins_unheard_by_c(lab);
  lab.kill(kB);
  blank_disk_for_b(lab);
  lab.connect(kB, kC);
  lab.run();
  const uint64_t before = dirty(lab, kC, kB);
  ASSERT_GT(before, 0u);
  lab.hold_mail = [](const Lab::Mail& letter) {  // the tenure after it, without B
    const auto* decided = std::get_if<TenureDecided>(&letter.send.message);
    return decided && letter.send.to == kC && !decided->tenure.members.contains(kB);
  };
  lab.run();
  ASSERT_EQ(lab.node(kC).tenure().members, (SeatSet{kA, kB, kC}));
  EXPECT_GE(dirty(lab, kC, kB), before);
  EXPECT_NE(lab.node(kC).record.peers[kB.value].disk, uuid(4711));
}

TEST(Learning, TheCopyThatWasLevelledIsTakenInOnceItIsMet) {
  Lab lab(three_data_nodes());
  b_joins_unheard_by_c(lab);
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.run();
  ASSERT_EQ(lab.node(kC).tenure().members, (SeatSet{kA, kB, kC}));
  EXPECT_GT(dirty(lab, kC, kB), 0u) << "not met yet: it may be another disk by now";
  lab.connect(kB, kC);
  lab.advance(seconds(1));
  EXPECT_EQ(dirty(lab, kC, kB), 0u);
}

// C was levelled by A, and B has begun to copy to it again before C hears that it has joined: what it had is overwritten by then.
TEST(Learning, ACopyThatIsBeingOverwrittenLearnsNothingFromTheJoinBefore) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kC);
  lab.cut(kB, kC);
  lab.advance(seconds(2));
  lab.write(kA);
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
  lab.node(kC).record.peers[kB.value].disk = {};
  lab.kill(kC);
  lab.start(kC);
  lab.connect(kC, kW);
  lab.hold_mail = [](const Lab::Mail& letter) {
    const auto* decided = std::get_if<TenureDecided>(&letter.send.message);
    return decided && letter.send.to == kC && decided->tenure.members.contains(kC);
  };
  lab.connect(kA, kC);
  lab.advance(seconds(1));
  ASSERT_TRUE(lab.node(kA).tenure().members.contains(kC));
  ASSERT_FALSE(lab.node(kC).tenure().members.contains(kC));
  ASSERT_FALSE(lab.node(kC).record.inconsistent);
  lab.connect(kB, kC);
  lab.advance(seconds(3));
  lab.inject(kB, kC, ResyncBegin{stamp_of(lab.node(kC).tenure()), true});
  ASSERT_TRUE(lab.node(kC).record.inconsistent);
  const uint64_t before = dirty(lab, kC, kB);
  ASSERT_GT(before, 0u);
  lab.hold_mail = [](const Lab::Mail& letter) { return letter.from == kC; };  // or it would be copied anew at once
  lab.run();
  ASSERT_TRUE(lab.node(kC).tenure().members.contains(kC));
  EXPECT_EQ(dirty(lab, kC, kB), before);
  EXPECT_TRUE(lab.node(kC).record.inconsistent);
  EXPECT_TRUE(lab.node(kC).record.peers[kB.value].disk.is_nil());
}

// B meets C in the middle of its resync by A. Once it is levelled, B may keep it in its own set.
TEST(Learning, AThirdNodeIsToldThatACopyIsWholeAgain) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.kill(kC);
  lab.advance(seconds(2));
  lab.write(kA);
  lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  lab.start(kC);
  lab.connect(kA, kC);
  lab.connect(kC, kW);
  lab.run();
  ASSERT_TRUE(lab.node(kC).record.inconsistent);
  lab.connect(kB, kC);
  lab.run();
  ASSERT_TRUE(lab.node(kC).record.inconsistent);
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(1));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB, kC}));
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  lab.node(kB).notes.clear();
  lab.promote(kB);
  EXPECT_FALSE(lab.node(kB).noted(Notice::peer_dropped));
}

// It has said that it is whole, in the tenure before: of the one that takes it in, C has another one's word only.
TEST(Learning, ACopyThatWasTakenInIsKnownOnlyOnceItSaysSoItself) {
  Lab lab(three_data_nodes());
  lose_b(lab);
  lab.write(kA);
  lab.hold_mail = [](const Lab::Mail& letter) {
    const auto* decided = std::get_if<TenureDecided>(&letter.send.message);
    return decided && letter.send.to == kB && decided->tenure.members.contains(kB);
  };
  lab.start(kB);
  lab.connect(kA, kB);
  lab.connect(kB, kW);
  lab.advance(seconds(2));
  ASSERT_EQ(lab.node(kC).tenure().members, (SeatSet{kA, kB, kC}));
  ASSERT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kC}));
  lab.connect(kB, kC);
  lab.run();
  ASSERT_TRUE(lab.show(kC).peers.at(1).connected);
  EXPECT_GT(dirty(lab, kC, kB), 0u);
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.run();
  EXPECT_EQ(dirty(lab, kC, kB), 0u);
}

// A has come back with bits from its intent map, and is Primary again before B has said that it adopted the clean tenure. B stays in the set,
// and both held the same bytes in the clean one (seed 130).
TEST(Learning, MembersOfACleanTenureHoldNothingAgainstEachOther) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.hold_mail = [](const Lab::Mail& letter) {
    return letter.from == kA && std::holds_alternative<TenureDecided>(letter.send.message);
  };
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  lab.kill(kA);
  lab.hold_mail = [](const Lab::Mail& letter) {
    return letter.from == kB && std::holds_alternative<TenureAdopted>(letter.send.message);
  };
  lab.start(kA);
  lab.connect_all();
  const AdminId id = lab.admin(kA, AdminOp::primary);
  lab.advance(seconds(5));  // its own voter is silent for a while
  ASSERT_TRUE(lab.ok(kA, id)) << code_of(lab.reason(kA, id));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_EQ(dirty(lab, kA, kB), 0u);
}

// B is met while A's promotion is being recorded: it replicates from its first moment, and no resync would clear what A's intent map had set
// against it (seed 913131).
TEST(Learning, AMemberThatIsMetDuringThePromotionIsTheSameSinceTheCleanTenure) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  for (Seat seat : {kA, kB}) lab.node(seat).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::intent; };
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  for (Seat seat : {kA, kB}) {
    lab.kill(seat);
    lab.node(seat).hold_meta_of = [](LabNode::Meta) { return false; };
    lab.start(seat);
  }
  lab.connect(kA, kW);
  lab.connect(kB, kW);
  lab.advance(seconds(5));
  bool holding = true;
  lab.node(kA).hold_meta_of = [&](LabNode::Meta) {
    const NodeRecord& record = lab.node(kA).replica->record();
    return holding && record.acceptor.tenure && record.acceptor.tenure->number > record.adopted->number;
  };
  const AdminId id = lab.admin(kA, AdminOp::primary);
  lab.advance(milliseconds(20));
  lab.connect(kA, kB);
  lab.run();
  holding = false;
  lab.run();
  lab.advance(seconds(5));
  ASSERT_TRUE(lab.ok(kA, id)) << code_of(lab.reason(kA, id));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_EQ(dirty(lab, kA, kB), 0u);
}

}  // namespace
}  // namespace lockstep
