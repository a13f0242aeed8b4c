// detach: a node goes on without its disk; outdate: a copy that others may go on without.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class Detaching : public testing::Test {
 protected:
  explicit Detaching(LabOptions options = {}) : lab_(std::move(options)) {}
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
  }
  void expect_released(Seat seat) {
    EXPECT_TRUE(lab_.node(seat).disk.empty());
    EXPECT_TRUE(lab_.node(seat).meta.empty());
    EXPECT_TRUE(lab_.node(seat).noted(Notice::disk_detached));
    EXPECT_EQ(lab_.show(seat).disk, DiskState::diskless);
  }
  // From now on whatever is asked of the disk stays in the queue.
  void watch(Seat seat) {
    lab_.node(seat).hold_disk = [](const DiskIo&) { return true; };
    lab_.node(seat).hold_meta = true;
  }
  Lab lab_;
};

TEST_F(Detaching, APrimaryServesOnFromItsPeerAndTouchesItsDiskNoMore) {
  lab_.write(kA);
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::detach)));
  expect_released(kA);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
  EXPECT_EQ(lab_.node(kA).record.adopted->members, SeatSet{kB}) << "durable before the disk is let go of";
  EXPECT_EQ(lab_.show(kB).peers[0].disk, DiskState::diskless);
  watch(kA);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.request(kA, OpKind::flush, {})), IoStatus::ok);
  lab_.advance(seconds(60));
  expect_released(kA);
  EXPECT_TRUE(lab_.node(kA).primary);
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::detach))) << "it is so already";
}

TEST_F(Detaching, ARoleCanBeHandedOverWithoutADiskAndIsNotTaken) {
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::detach)));
  watch(kA);
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  EXPECT_EQ(lab_.reason(kA, lab_.admin(kA, AdminOp::primary)), Reason::no_disk);
  lab_.promote(kB);
  EXPECT_TRUE(lab_.node(kB).primary);
  expect_released(kA);
}

TEST_F(Detaching, ASecondaryLeavesTheSetBeforeAnythingWaitsForIt) {
  const ClientIo write = lab_.write(kA);
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::detach)));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  expect_released(kB);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});
  EXPECT_EQ(lab_.show(kA).peers[0].disk, DiskState::diskless);
  EXPECT_TRUE(lab_.show(kA).peers[0].connected);
  watch(kB);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  lab_.advance(seconds(60));
  expect_released(kB);
}

TEST_F(Detaching, WhatItMissedIsCopiedWhenItStartsAnewOnItsDisk) {
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::detach)));
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {1 << 20, 4096})), IoStatus::ok);
  lab_.kill(kB);
  lab_.start(kB);
  lab_.connect_all();
  lab_.advance(seconds(5));
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_EQ(lab_.show(kB).disk, DiskState::up_to_date);
}

TEST_F(Detaching, TheLastCopyStays) {
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  EXPECT_EQ(lab_.reason(kA, lab_.admin(kA, AdminOp::detach)), Reason::last_copy);
  EXPECT_EQ(lab_.show(kA).disk, DiskState::up_to_date);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
}

TEST_F(Detaching, TheCopyThatADisklessPrimaryServesFromStays) {
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::detach)));
  EXPECT_EQ(lab_.reason(kB, lab_.admin(kB, AdminOp::detach)), Reason::last_copy);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
}

TEST_F(Detaching, NotWithAVoteThatIsNeeded) {
  lab_.cut(kA, kW);
  lab_.cut(kB, kW);
  lab_.advance(seconds(1));
  for (Seat seat : {kA, kB}) EXPECT_EQ(lab_.reason(seat, lab_.admin(seat, AdminOp::detach)), Reason::needs_own_vote);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
}

TEST_F(Detaching, WhereNobodyIsKnownToBePrimaryItIsOnlyThisNodesAffair) {
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  for (Seat other : {kA, kW}) lab_.cut(other, kB);
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::detach)));
  expect_released(kB);
}

TEST_F(Detaching, WaitsForWhatIsUnderWayOnTheDisk) {
  lab_.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::read; };
  lab_.read(kA);
  const AdminId command = lab_.admin(kA, AdminOp::detach);
  lab_.advance(seconds(5));
  EXPECT_FALSE(lab_.result(kA, command));
  EXPECT_FALSE(lab_.node(kA).noted(Notice::disk_detached));
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_TRUE(lab_.ok(kA, command));
  expect_released(kA);
}

TEST_F(Detaching, WaitsForTheRecord) {
  lab_.node(kB).hold_meta = true;
  const AdminId command = lab_.admin(kB, AdminOp::detach);
  lab_.advance(milliseconds(500));
  EXPECT_FALSE(lab_.result(kB, command));
  lab_.node(kB).hold_meta = false;
  lab_.run();
  EXPECT_TRUE(lab_.ok(kB, command));
  EXPECT_EQ(lab_.node(kB).record.adopted->members, SeatSet{kA});
}

TEST_F(Detaching, ADiskThatHangsIsNotLetGoOf) {
  lab_.node(kA).hold_disk = [](const DiskIo&) { return true; };
  lab_.read(kA);
  const AdminId command = lab_.admin(kA, AdminOp::detach);
  lab_.advance(seconds(16));
  ASSERT_TRUE(lab_.result(kA, command));
  EXPECT_EQ(lab_.result(kA, command)->reason, Reason::io_pending);
  EXPECT_FALSE(lab_.node(kA).noted(Notice::disk_detached));
}

TEST_F(Detaching, ADiskThatFailedIsLetGoOf) {
  lab_.node(kA).disk_status = [](const DiskIo& io) { return is_change(io.kind) ? IoStatus::io_error : IoStatus::ok; };
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  ASSERT_EQ(lab_.show(kA).disk, DiskState::diskless);
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::detach)));
  expect_released(kA);
}

TEST_F(Detaching, MetadataThatFailedIsLetGoOf) {
  lab_.node(kB).meta_ok = false;
  lab_.write(kA, {8 << 20, 4096});
  lab_.advance(seconds(1));
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::detach)));
  expect_released(kB);
}

TEST_F(Detaching, CanBeStopped) {
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::detach)));
  watch(kA);
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::stop)));
  lab_.promote(kB);
  EXPECT_TRUE(lab_.node(kB).primary);
}

TEST_F(Detaching, ACommandThatIsRefusedLeavesTheCopyWhereItWas) {
  // The witness stops answering as the set is to be reduced: nothing can be decided, and the copy stays in use.
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accept>(letter.send.message); };
  const AdminId command = lab_.admin(kA, AdminOp::detach);
  lab_.advance(seconds(16));
  ASSERT_TRUE(lab_.result(kA, command));
  EXPECT_FALSE(lab_.ok(kA, command));
  lab_.lose_mail = [](const Lab::Mail&) { return false; };
  lab_.advance(seconds(10));
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_FALSE(lab_.node(kA).noted(Notice::disk_detached));
}

TEST_F(Detaching, UnderWritesThatAThirdNodeMisses) {
  LabOptions options = three_data_nodes();
  options.witnesses = {kW, witness_seat(1)};
  Lab lab(options);
  lab.create();
  lab.promote(kA);
  lab.kill(kC);
  lab.advance(seconds(1));
  lab.node(kA).hold_meta = true;
  const AdminId command = lab.admin(kA, AdminOp::detach);
  for (uint64_t i = 0; i < 20; ++i) lab.write(kA, {i * 8192, 4096});
  lab.node(kA).hold_meta = false;
  lab.run();
  for (uint64_t i = 0; i < 20 && !lab.result(kA, command); ++i) {
    lab.write(kA, {(1 << 20) + i * 8192, 4096});
    lab.advance(milliseconds(50));
  }
  EXPECT_TRUE(lab.ok(kA, command));
}

// Of three voters one has let go of its vote: it is still there, and cannot be counted on.
TEST_F(Detaching, AVoteThatIsGoneWithItsDiskDoesNotCount) {
  LabOptions options = three_data_nodes();
  options.witnesses = {};
  Lab lab(options);
  lab.create();
  lab.promote(kA);
  ASSERT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::detach)));
  EXPECT_EQ(lab.reason(kC, lab.admin(kC, AdminOp::detach)), Reason::needs_own_vote);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::detach)), Reason::needs_own_vote);
  lab.advance(seconds(10));
  EXPECT_EQ(lab.answer(kA, lab.write(kA)), IoStatus::ok);
}

// What was proposed is decided later: the Primary has given its copy up, and says so.
TEST_F(Detaching, AProposalThatOutlivesTheCommandTakesTheCopyAlong) {
  bool mute = true;
  lab_.lose_mail = [&mute](const Lab::Mail& letter) { return mute && std::holds_alternative<Accepted>(letter.send.message); };
  const AdminId command = lab_.admin(kA, AdminOp::detach);
  lab_.advance(seconds(16));
  ASSERT_TRUE(lab_.result(kA, command));
  ASSERT_FALSE(lab_.ok(kA, command));
  mute = false;
  lab_.advance(seconds(10));
  const bool member = lab_.node(kA).tenure().members.contains(kA);
  EXPECT_EQ(lab_.show(kA).disk, member ? DiskState::up_to_date : DiskState::diskless);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::detach)));
}

// --- outdate ---------------------------------------------------------------------------------------------------------------

constexpr int kOutdated = 4;
constexpr int kStonithed = 7;

LabOptions two_voters() {
  return {.witnesses = {}, .configure = [](CoreConfig& config) {
            config.fence_handler = true;
            config.fencing = FencingPolicy::resource_and_stonith;
          }};
}

class Outdating : public Detaching {
 protected:
  Outdating() : Detaching(two_voters()) {}
  void handler_ends(Seat on, Seat peer, int status) {
    lab_.step(on, FenceDone{peer, boot_of(peer), status});
    lab_.run();
    lab_.advance(seconds(1));
  }
  void part() {
    lab_.cut(kA, kB);
    lab_.advance(milliseconds(500));
  }
};

TEST_F(Outdating, LetsAPrimaryGoOnAndKeepsTheOtherFromTakingOver) {
  part();
  const ClientIo write = lab_.write(kA);
  ASSERT_EQ(lab_.node(kA).fences.size(), 1u);
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::outdate)));
  EXPECT_TRUE(lab_.node(kB).record.outdated) << "durable";
  EXPECT_EQ(lab_.show(kB).disk, DiskState::outdated);
  EXPECT_FALSE(lab_.answer(kA, write));
  handler_ends(kA, kB, kOutdated);
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});

  lab_.kill(kA);
  lab_.advance(seconds(30));
  const AdminId promotion = lab_.admin(kB, AdminOp::primary);
  lab_.advance(seconds(1));
  handler_ends(kB, kA, kStonithed);
  lab_.advance(seconds(10));
  EXPECT_EQ(lab_.reason(kB, promotion), Reason::copy_outdated) << "it lacks a write that was answered";
}

TEST_F(Outdating, SurvivesARestart) {
  part();
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::outdate)));
  lab_.kill(kB);
  lab_.start(kB);
  EXPECT_EQ(lab_.show(kB).disk, DiskState::outdated);
}

TEST_F(Outdating, IsOverWhenTheTwoMeet) {
  part();
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::outdate)));
  lab_.write(kA);
  handler_ends(kA, kB, kOutdated);
  lab_.connect(kA, kB);
  lab_.advance(seconds(5));
  EXPECT_FALSE(lab_.node(kB).record.outdated);
  EXPECT_EQ(lab_.show(kB).disk, DiskState::up_to_date);
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  // And what was said before counts for nothing after it.
  part();
  const ClientIo write = lab_.write(kA);
  lab_.advance(seconds(20));
  EXPECT_FALSE(lab_.answer(kA, write));
}

// The handler was slow: the two have met in between, and the copy has forgotten what it said.
TEST_F(Outdating, AWordFromBeforeTheyLastMetIsAboutNothing) {
  part();
  const ClientIo write = lab_.write(kA);
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::outdate)));
  lab_.connect(kA, kB);
  lab_.advance(seconds(2));
  part();
  handler_ends(kA, kB, kOutdated);
  lab_.advance(seconds(20));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::fence_ignored));
  static_cast<void>(write);
  EXPECT_FALSE(lab_.answer(kA, lab_.write(kA)));
}

// The round that the word let begin is still flushing when the two meet: the copy forgets its word, and has granted a lease a moment ago.
TEST_F(Outdating, ARoundThatCountsOnTheWordEndsWhenTheyMeet) {
  lab_.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_.cut(kA, kB);
  ASSERT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::outdate)));
  const ClientIo write = lab_.write(kA);
  ASSERT_EQ(lab_.node(kA).fences.size(), 1u);
  lab_.step(kA, FenceDone{kB, boot_of(kB), kOutdated});
  lab_.run();
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB})) << "the flush is awaited";
  lab_.connect(kA, kB);
  lab_.run();
  ASSERT_FALSE(lab_.node(kB).record.outdated);
  // Nothing reaches the peer any more, and nobody has noticed that.
  lab_.lose_mail = [](const Lab::Mail&) { return true; };
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  lab_.advance(milliseconds(500));
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_FALSE(lab_.answer(kA, write)) << "the other one would take over without it";
}

TEST_F(Outdating, AStaleWordThatThePeerIsPrimaryOutdatesNobody) {
  part();
  const AdminId promotion = lab_.admin(kB, AdminOp::primary);
  lab_.advance(seconds(1));
  lab_.connect(kA, kB);
  lab_.advance(seconds(1));
  part();
  handler_ends(kB, kA, 6);
  EXPECT_TRUE(lab_.result(kB, promotion));
  EXPECT_FALSE(lab_.node(kB).record.outdated);
}

TEST_F(Outdating, GivesACandidateNothing) {
  lab_.kill(kA);
  lab_.advance(seconds(30));
  const AdminId promotion = lab_.admin(kB, AdminOp::primary);
  lab_.advance(seconds(1));
  handler_ends(kB, kA, kOutdated);
  lab_.advance(seconds(20));
  EXPECT_TRUE(lab_.result(kB, promotion));
  EXPECT_FALSE(lab_.ok(kB, promotion));
}

TEST_F(Outdating, IsRefusedWhereItMakesNoSense) {
  EXPECT_EQ(lab_.reason(kA, lab_.admin(kA, AdminOp::outdate)), Reason::outdate_primary);
  EXPECT_EQ(lab_.reason(kB, lab_.admin(kB, AdminOp::outdate)), Reason::outdate_connected);
  EXPECT_FALSE(lab_.node(kB).record.outdated);
}

// The peer is Primary, says the handler: this copy may lack what that one acknowledges.
TEST_F(Outdating, APeerThatIsFoundPrimaryOutdatesThisCopy) {
  part();
  const AdminId promotion = lab_.admin(kB, AdminOp::primary);
  lab_.advance(seconds(6));
  handler_ends(kB, kA, 6);
  EXPECT_EQ(lab_.reason(kB, promotion), Reason::peer_is_primary);
  EXPECT_TRUE(lab_.node(kB).record.outdated);
  EXPECT_EQ(lab_.show(kB).disk, DiskState::outdated);
}

TEST_F(Outdating, WaitsForAPromotionThatRuns) {
  lab_.kill(kA);
  lab_.advance(seconds(30));
  const AdminId promotion = lab_.admin(kB, AdminOp::primary);
  lab_.advance(seconds(1));
  EXPECT_EQ(lab_.reason(kB, lab_.admin(kB, AdminOp::outdate)), Reason::busy);
  EXPECT_FALSE(lab_.node(kB).record.outdated);
  handler_ends(kB, kA, kStonithed);
  EXPECT_TRUE(lab_.ok(kB, promotion));
}

}  // namespace
}  // namespace lockstep
