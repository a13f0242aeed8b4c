#include "core/split_brain.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

constexpr uint64_t kExtent = kExtentBytes;
constexpr Seat kSilent = witness_seat(1);

const PeerSnapshot& peer_of(const Snapshot& shown) { return shown.peers.front(); }

// A is Primary with the witness; B is cut off from both, and forced.
void split(Lab& lab) {
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.cut(kB, kW);
  lab.advance(seconds(5));
  lab.write(kA, {3 * kExtent, 4096});
  const AdminId id = lab.admin(kB, AdminOp::primary_force);
  lab.advance(seconds(4));
  ASSERT_TRUE(lab.ok(kB, id)) << code_of(lab.reason(kB, id));
  ASSERT_TRUE(lab.node(kB).primary);
  lab.write(kB, {5 * kExtent, 4096});
  ASSERT_NE(lab.node(kA).tenure().history, lab.node(kB).tenure().history);
}

TEST(SplitBrain, BothSidesStandAloneAndListWhatEitherOfThemWrote) {
  Lab lab;
  split(lab);
  lab.connect(kA, kB);
  lab.run();
  int closed = 0;
  for (Seat seat : {kA, kB}) {
    const Snapshot shown = lab.show(seat);
    EXPECT_EQ(peer_of(shown).refused, Reason::different_history);
    if (lab.node(seat).closed.empty()) continue;  // the other one was first; the shell leaves it a moment to hear the rest
    ++closed;
    EXPECT_TRUE(lab.node(seat).closed.back().stand_alone);
    EXPECT_EQ(lab.node(seat).closed.back().reason, Reason::different_history);
    EXPECT_EQ(peer_of(shown).differing, (std::vector<Range>{{3 * kExtent, kExtent}, {5 * kExtent, kExtent}}));
  }
  EXPECT_GT(closed, 0);
  EXPECT_TRUE(lab.node(kA).primary && lab.node(kB).primary) << "each in its own history";
}

TEST(SplitBrain, NothingIsListedThatWasNotHeardToTheEnd) {
  Lab lab;
  split(lab);
  lab.lose_mail = [](const Lab::Mail& letter) {
    return letter.from == kB && std::holds_alternative<Differences>(letter.send.message);
  };
  lab.connect(kA, kB);
  lab.run();
  EXPECT_EQ(peer_of(lab.show(kA)).refused, Reason::different_history);
  EXPECT_TRUE(peer_of(lab.show(kA)).differing.empty());
}

TEST(SplitBrain, AListAfterItsEndBreaksTheProtocol) {
  Lab lab;
  lab.create();
  lab.inject(kB, kA, Differences{{}, true});
  lab.inject(kB, kA, Differences{{}, true});
  ASSERT_FALSE(lab.node(kA).closed.empty());
  EXPECT_EQ(lab.node(kA).closed.back().reason, Reason::protocol_violation);
}

TEST(SplitBrain, WhoGivesItsHistoryUpHasANewVoterAndKeepsItsBits) {
  Lab lab;
  split(lab);
  lab.connect(kA, kB);
  lab.run();
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::discard_history, kA)), Reason::invalidate_primary) << "it serves";
  ASSERT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::secondary)));
  const Uuid voter = lab.node(kB).record.acceptor.acceptor;
  const Duration longest = lab.node(kB).record.acceptor.longest_lease;
  ASSERT_GT(longest.ns, 0);
  ASSERT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::discard_history, kA)));
  const NodeRecord& record = lab.node(kB).record;
  EXPECT_FALSE(record.adopted);
  EXPECT_TRUE(record.inconsistent);
  EXPECT_NE(record.acceptor.acceptor, voter);
  EXPECT_EQ(record.acceptor.longest_lease, longest)
      << "what it granted is kept by the one in its place: after its start it is silent for so long";
  EXPECT_FALSE(record.acceptor.tenure);
  lab.kill(kB);
  lab.start(kB);
  lab.connect_all();
  lab.advance(seconds(8));
  EXPECT_EQ(lab.node(kB).record.adopted, lab.node(kA).record.adopted);
  EXPECT_TRUE(lab.node(kA).tenure().members.contains(kB));
  uint64_t copied = 0;
  for (const Lab::Mail& letter : lab.delivered) copied += std::holds_alternative<ResyncWrite>(letter.send.message) ? 1 : 0;
  EXPECT_GT(copied, 0u);
  EXPECT_LE(copied, 3 * kExtent / (256 * 1024)) << "what differs, and no more";
}

// What B wrote while it was alone is known from its bitmap only, once the extent has cooled.
TEST(SplitBrain, WhatWasWrittenInAHistoryThatIsGivenUpStaysMarked) {
  Lab lab;
  split(lab);
  lab.advance(seconds(10));
  ASSERT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::secondary)));
  lab.connect(kA, kB);
  lab.run();
  const uint64_t marked = lab.show(kB).dirty_blocks[kA.value];
  ASSERT_GT(marked, 0u);
  ASSERT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::discard_history, kA)));
  EXPECT_EQ(lab.show(kB).dirty_blocks[kA.value], marked);
}

// It could still vote in the history before, and elect somebody there: of five voters three can be reached, and a majority of these three would
// leave a majority of the five behind.
TEST(SplitBrain, AForceLeavesNoVoterBehindThatCanBeReached) {
  Lab lab(LabOptions{{kA, kB, kC}, {kW, kSilent}, [](CoreConfig&) {}});
  lab.create();
  lab.promote(kA);
  const Uuid before = lab.node(kB).tenure().history;
  lab.kill(kA);
  lab.kill(kC);
  lab.advance(seconds(15));  // or a lease that runs is the obstacle, and no history is begun
  lab.lose_mail = [](const Lab::Mail& letter) { return letter.from == kSilent; };
  const AdminId id = lab.admin(kB, AdminOp::primary_force);
  for (int i = 0; i < 400 && !lab.result(kB, id); ++i) lab.advance(milliseconds(100));
  const auto asked_to_move = [](const Lab::Mail& letter) {
    const auto* prepare = std::get_if<Prepare>(&letter.send.message);
    return letter.send.to == kSilent && prepare && prepare->moves;
  };
  ASSERT_GT(std::count_if(lab.delivered.begin(), lab.delivered.end(), asked_to_move), 0) << "a forced round began";
  EXPECT_EQ(lab.reason(kB, id), Reason::timed_out);
  EXPECT_EQ(lab.node(kB).tenure().history, before);
  EXPECT_EQ(lab.witness().record().tenure->history, before);
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  const AdminId again = lab.admin(kB, AdminOp::primary_force);
  for (int i = 0; i < 400 && !lab.result(kB, again); ++i) lab.advance(milliseconds(100));
  EXPECT_TRUE(lab.ok(kB, again)) << code_of(lab.reason(kB, again));
}

TEST(SplitBrain, WithoutOneNothingIsGivenUp) {
  Lab lab;
  lab.create();
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::discard_history, kA)), Reason::no_split_brain);
  EXPECT_TRUE(lab.node(kB).record.adopted);
}

TEST(SplitBrain, WhoWasLeftIsNotPromotedWithoutForce) {
  Lab lab;
  split(lab);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  lab.connect(kA, kB);
  lab.run();
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::primary)), Reason::different_history);
  const AdminId id = lab.admin(kA, AdminOp::primary_force);
  lab.advance(seconds(4));
  EXPECT_TRUE(lab.ok(kA, id)) << "within its history: the witness is still in it";
  EXPECT_TRUE(lab.node(kA).tenure().parent.is_nil());
}

// A is left alone and forced, B and C are in the history before, and know each other.
struct OneOfThree : ::testing::Test {
  OneOfThree() : lab(LabOptions{{kA, kB, kC}, {}, [](CoreConfig&) {}}) {
    lab.create();
    lab.promote(kA);
    for (Seat other : {kB, kC}) lab.cut(kA, other);
    lab.advance(seconds(5));
    const AdminId id = lab.admin(kA, AdminOp::primary_force);
    lab.advance(seconds(4));
    EXPECT_TRUE(lab.ok(kA, id)) << code_of(lab.reason(kA, id));
    lab.connect(kA, kB);
    lab.run();
    before = lab.node(kB).tenure().history;
    EXPECT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::discard_history, kA)));
    lab.kill(kB);
    lab.start(kB);
  }
  Lab lab;
  Uuid before;
};

TEST_F(OneOfThree, WhatWasGivenUpIsNotTakenAgainFromAThirdNode) {
  EXPECT_EQ(lab.node(kB).record.given_up, before);
  lab.connect(kB, kC);
  lab.advance(seconds(3));
  EXPECT_FALSE(lab.node(kB).record.adopted);
  int refused = 0;  // one of them closes first; the shell leaves the other one a moment to hear the rest
  for (Seat seat : {kB, kC}) {
    for (const PeerSnapshot& peer : lab.show(seat).peers) {
      refused += peer.node != kA && peer.refused == Reason::different_history ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 0);
  lab.connect(kA, kB);
  lab.advance(seconds(3));
  EXPECT_EQ(lab.node(kB).tenure().history, lab.node(kA).tenure().history);
  EXPECT_TRUE(lab.node(kB).record.given_up.is_nil());
}

TEST_F(OneOfThree, TheOperatorMayThinkBetterOfIt) {
  lab.lose_mail = [](const Lab::Mail& letter) {
    return letter.from == kB && std::holds_alternative<PeerHello>(letter.send.message);
  };
  lab.connect(kB, kC);
  lab.run();
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  EXPECT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::discard_history, kC)));
  EXPECT_TRUE(lab.node(kB).record.given_up.is_nil());
  lab.connect(kB, kC);
  lab.advance(seconds(3));
  EXPECT_EQ(lab.node(kB).tenure().history, before);
}

// B and C go on in the history before, and C has met A, which was forced. What C is adopting must not come back after it gave it up.
TEST(SplitBrain, AHistoryIsGivenUpOnlyAfterWhatIsBeingAdopted) {
  Lab lab(LabOptions{{kA, kB, kC}, {}, [](CoreConfig&) {}});
  lab.create();
  for (Seat other : {kB, kC}) lab.cut(kA, other);
  lab.advance(seconds(1));
  const AdminId forced = lab.admin(kA, AdminOp::primary_force);
  lab.advance(seconds(4));
  ASSERT_TRUE(lab.ok(kA, forced)) << code_of(lab.reason(kA, forced));
  lab.connect(kA, kC);
  lab.run();
  ASSERT_FALSE(lab.linked(kA, kC));
  // B leaves A behind while a write of its own is still under way at C: so C adopts that, and has not finished.
  lab.node(kC).hold_disk = [](const DiskIo& io) { return is_change(io.kind) || io.kind == OpKind::flush; };
  lab.promote(kB);
  lab.write(kB);
  lab.node(kC).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  lab.advance(seconds(1));
  ASSERT_EQ(lab.node(kB).tenure().members, (SeatSet{kB, kC}));
  ASSERT_EQ(lab.node(kC).tenure().members, (SeatSet{kA, kB, kC}));
  const AdminId id = lab.admin(kC, AdminOp::discard_history, kA);
  EXPECT_FALSE(lab.result(kC, id));
  lab.node(kC).hold_disk = [](const DiskIo&) { return false; };
  lab.advance(milliseconds(100));
  EXPECT_TRUE(lab.ok(kC, id)) << code_of(lab.reason(kC, id));
  EXPECT_FALSE(lab.node(kC).record.adopted);
}

}  // namespace
}  // namespace lockstep
