#include "core/admin.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

TEST(Force, BeginsAHistoryOnANeverUsedResource) {
  Lab lab;
  lab.connect_all();
  const AdminId id = lab.admin(kA, AdminOp::primary_force);
  lab.advance(seconds(1));
  ASSERT_TRUE(lab.ok(kA, id));
  EXPECT_TRUE(lab.node(kA).primary);
  lab.advance(seconds(5));
  EXPECT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB})) << "the other one is brought up to date";
  EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::primary_force))) << "it is Primary already";
}

TEST(Force, StaysWithinTheHistoryWhereThatGoes) {
  Lab lab;
  lab.create();
  const Uuid history = lab.node(kA).tenure().history;
  const AdminId id = lab.admin(kA, AdminOp::primary_force);
  lab.advance(seconds(2));
  EXPECT_TRUE(lab.ok(kA, id));
  EXPECT_EQ(lab.node(kA).tenure().history, history);
  EXPECT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
}

TEST(Force, LetsAFrozenPrimaryGoOnInANewHistory) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::primary_force))) << "it is so already";
  const Tenure parent = lab.node(kA).tenure();
  lab.kill(kB);
  lab.cut(kA, kW);
  lab.advance(seconds(4));
  const ClientIo io = lab.write(kA);
  EXPECT_FALSE(lab.answer(kA, io));
  const AdminId id = lab.admin(kA, AdminOp::primary_force);
  lab.advance(seconds(3));
  ASSERT_TRUE(lab.ok(kA, id)) << code_of(lab.reason(kA, id));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
  const Tenure& now = lab.node(kA).tenure();
  EXPECT_NE(now.history, parent.history);
  EXPECT_EQ(now.parent, parent.history);
  EXPECT_GT(now.number, parent.number);
  EXPECT_EQ(now.members, SeatSet{kA});
  EXPECT_EQ(now.voters.size(), 1u);
}

// The operator wants the data, and need not know where it is.
TEST(Force, OfAMixtureIsRefusedWhileABetterCopyIsConnected) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA);
  lab.advance(seconds(1));
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  lab.connect(kA, kB);
  lab.run();
  ASSERT_TRUE(lab.node(kB).record.inconsistent);
  const AdminId id = lab.admin(kB, AdminOp::primary_force);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.reason(kB, id), Reason::better_copy);
  lab.cut(kA, kB);
  const AdminId again = lab.admin(kB, AdminOp::primary_force);
  lab.advance(seconds(8));
  EXPECT_TRUE(lab.ok(kB, again)) << "it is the only one by now: " << code_of(lab.reason(kB, again));
}

// What the Primary before was writing may be here and not there.
TEST(Force, MarksWhatWasBeingWrittenInTheHistoryThatItLeaves) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kA);
  lab.cut(kB, kW);
  lab.advance(seconds(5));
  const AdminId id = lab.admin(kB, AdminOp::primary_force);
  lab.advance(seconds(4));
  ASSERT_TRUE(lab.ok(kB, id)) << code_of(lab.reason(kB, id));
  EXPECT_EQ(lab.show(kB).dirty_blocks[kA.value], kBlocksPerExtent);
}

TEST(Force, IsRefusedWithoutQuorum) {
  Lab lab;
  const AdminId id = lab.admin(kA, AdminOp::primary_force);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.reason(kA, id), Reason::no_quorum);
}

TEST(Force, IsRefusedWithoutADisk) {
  Lab lab({.data_nodes = {kA}, .witnesses = {}});
  lab.node(kA).meta_ok = false;
  const AdminId first = lab.admin(kA, AdminOp::new_current_uuid);
  lab.advance(seconds(20));
  EXPECT_EQ(lab.reason(kA, first), Reason::no_quorum);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::primary_force)), Reason::no_disk);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::new_current_uuid)), Reason::no_disk);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::primary)), Reason::no_disk);
}

TEST(Force, OfTwoAtOnceOneWins) {
  Lab lab;
  lab.connect_all();
  lab.hold_mail = [](const Lab::Mail&) { return true; };
  const AdminId first = lab.admin(kA, AdminOp::primary_force);
  const AdminId second = lab.admin(kB, AdminOp::primary_force);
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(16));
  EXPECT_NE(lab.ok(kA, first), lab.ok(kB, second));
  const Seat loser = lab.ok(kA, first) ? kB : kA;
  EXPECT_EQ(lab.reason(loser, loser == kA ? first : second), Reason::peer_is_primary);
}

TEST(Admin, OneCommandAtATime) {
  Lab lab;
  lab.admin(kA, AdminOp::new_current_uuid);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::primary)), Reason::busy);
}

// --- promotion: the table of what forbids it ---

TEST(Promotion, IsRefusedWhereNothingWasEverUsed) {
  Lab lab;
  lab.connect_all();
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::primary)), Reason::never_used);
}

TEST(Promotion, IsRefusedWhileTheOtherPrimaryLives) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(3));
  EXPECT_EQ(lab.reason(kB, id), Reason::peer_is_primary);
}

TEST(Promotion, IsRefusedToACopyThatIsNotInTheSet) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA);
  lab.advance(seconds(1));
  ASSERT_EQ(lab.node(kA).tenure().members, SeatSet{kA});
  lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<ResyncBegin>(letter.send.message); };
  lab.connect(kA, kB);  // B hears of the tenure without it
  lab.run();
  lab.cut(kA, kB);
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::primary)), Reason::no_current_copy);
  EXPECT_EQ(lab.show(kB).disk, DiskState::outdated);
}

TEST(Promotion, IsRefusedToAnInconsistentCopy) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA);
  lab.advance(seconds(1));
  lab.node(kB).hold_disk = [](const DiskIo&) { return true; };
  lab.connect(kA, kB);
  lab.run();
  lab.cut(kA, kB);
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::primary)), Reason::copy_inconsistent);
  EXPECT_EQ(lab.show(kB).disk, DiskState::inconsistent);
}

// The copy that is away may have what this one lost with its cache.
TEST(Promotion, OfACopyThatLostItsCacheIsRefusedWhileAnotherIsAway) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kA);
  lab.kill(kB);
  lab.node(kB).record.doubtful = true;
  lab.start(kB);
  lab.connect(kB, kW);
  lab.run();
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::primary)), Reason::copy_doubtful);
  const AdminId forced = lab.admin(kB, AdminOp::primary_force);
  lab.advance(seconds(8));
  EXPECT_TRUE(lab.ok(kB, forced)) << "an operator may know that it will not come back: " << code_of(lab.reason(kB, forced));
}

TEST(Promotion, WaitsAMomentForAQuorum) {
  Lab lab;
  lab.create();
  lab.cut(kA, kB);
  lab.cut(kA, kW);
  const AdminId id = lab.admin(kA, AdminOp::primary);
  EXPECT_FALSE(lab.result(kA, id));
  lab.advance(seconds(2));
  EXPECT_EQ(lab.reason(kA, id), Reason::no_quorum);
}

TEST(Promotion, WaitsUntilTheLeaseOfALostPrimaryHasRunOut) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(2));
  EXPECT_FALSE(lab.result(kB, id));
  EXPECT_EQ(lab.show(kB).reason, Reason::lease_running);
  lab.advance(seconds(3));
  ASSERT_TRUE(lab.ok(kB, id));
  EXPECT_EQ(lab.node(kB).tenure().members, SeatSet{kB}) << "an unclean promotion keeps only itself";
  EXPECT_FALSE(lab.node(kB).tenure().clean);
  EXPECT_EQ(lab.node(kB).tenure().primary->node, kB);
}

TEST(Promotion, EndsWithTheLastObstacleWhenItsPatienceDoes) {
  Lab lab({.configure = [](CoreConfig& config) { config.promote_patience = seconds(2); }});
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(3));
  EXPECT_EQ(lab.reason(kB, id), Reason::lease_running);
}

TEST(Promotion, OfANodeThatCannotHearThePrimaryNamesThePrimaryAndNotItsLease) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  const AdminId early = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(20));
  // The Primary went on without this copy, and only the witness could tell.
  EXPECT_EQ(lab.reason(kB, early), Reason::no_current_copy);
  EXPECT_EQ(lab.show(kB).reason, Reason::no_current_copy);
}

TEST(Promotion, OfTheOtherMemberNamesAPrimaryThatRenewsItsLease) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  // Nothing is decided without this copy: the witness accepts nothing.
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accept>(letter.send.message); };
  lab.cut(kA, kB);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(20));
  EXPECT_EQ(lab.reason(kB, id), Reason::peer_is_primary);
}

TEST(Promotion, TakesOverFromAPrimaryThatFellSilentWhileItsLinkIsUp) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.lose_mail = [](const Lab::Mail& letter) { return letter.from == kA; };
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(milliseconds(400));
  EXPECT_FALSE(lab.result(kB, id)) << "silent: its link will end";
  lab.kill(kA);
  lab.advance(seconds(5));
  EXPECT_TRUE(lab.ok(kB, id));
}

TEST(Promotion, OfThePrimaryIsDoneAtOnce) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::primary)));
}

TEST(SwitchOver, KeepsTheSet) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  EXPECT_FALSE(lab.node(kA).primary);
  EXPECT_TRUE(lab.node(kA).tenure().clean);
  EXPECT_FALSE(lab.node(kA).tenure().primary);
  lab.promote(kB);
  EXPECT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB}));
  EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary))) << "it is Secondary already";
}

TEST(SwitchOver, NeedsNoTimeout) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  const AdminId id = lab.admin(kB, AdminOp::primary);
  EXPECT_TRUE(lab.ok(kB, id));
}

// The tenure that it ends with says that all members have on stable storage what was written.
TEST(SwitchOver, WaitsForAFlushOfEveryMember) {
  for (Seat slow : {kA, kB}) {
    Lab lab;
    lab.create();
    lab.promote(kA);
    lab.write(kA);
    lab.node(slow).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
    const AdminId id = lab.admin(kA, AdminOp::secondary);
    lab.advance(seconds(1));
    EXPECT_FALSE(lab.result(kA, id));
    EXPECT_TRUE(lab.witness().record().tenure->primary);
    lab.node(slow).hold_disk = [](const DiskIo&) { return false; };
    lab.run();
    EXPECT_TRUE(lab.ok(kA, id));
  }
}

TEST(SwitchOver, WaitsForRequestsAndGivesUpWhenTheyDoNotEnd) {
  Lab lab({.configure = [](CoreConfig& config) { config.ack_timeout = seconds(60); }});
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  lab.write(kA);
  const AdminId id = lab.admin(kA, AdminOp::secondary);
  lab.advance(seconds(14));
  EXPECT_FALSE(lab.result(kA, id));
  lab.advance(seconds(2));
  EXPECT_EQ(lab.reason(kA, id), Reason::io_pending);
  EXPECT_TRUE(lab.node(kA).primary);
}

TEST(Stop, OfAPrimaryHandsOverFirst) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::stop)));
  EXPECT_FALSE(lab.node(kA).record.adopted->primary);
  EXPECT_TRUE(lab.node(kA).record.adopted->clean);
}

TEST(Stop, OfAPrimaryWithoutQuorumLeavesAsACrashWould) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.cut(kA, kW);
  lab.advance(seconds(4));
  const AdminId id = lab.admin(kA, AdminOp::stop);
  lab.advance(seconds(4));
  EXPECT_FALSE(lab.result(kA, id)) << "a voter may come back in a moment";
  lab.advance(seconds(2));
  ASSERT_TRUE(lab.ok(kA, id));
  EXPECT_EQ(lab.result(kA, id)->reason, Reason::no_quorum) << "it says that it did not hand over";
  EXPECT_TRUE(lab.node(kA).record.adopted->primary);
}

TEST(Stop, OfAPrimaryWhoseLastCopyFailedIsPossible) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.advance(seconds(4));
  ASSERT_EQ(lab.node(kA).tenure().members, SeatSet{kA});
  lab.node(kA).disk_status = [](const DiskIo& io) { return io.kind == OpKind::write ? IoStatus::no_space : IoStatus::ok; };
  lab.write(kA);
  lab.advance(seconds(1));
  EXPECT_TRUE(lab.show(kA).suspended);
  EXPECT_EQ(lab.show(kA).reason, Reason::last_copy_failed);
  const AdminId id = lab.admin(kA, AdminOp::stop);
  lab.advance(seconds(6));
  ASSERT_TRUE(lab.ok(kA, id));
  EXPECT_EQ(lab.result(kA, id)->reason, Reason::io_pending);
}

TEST(Stop, OfASecondaryWaitsUntilItsDiskIsQuiet) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kB).hold_disk = [](const DiskIo&) { return true; };
  lab.write(kA);
  const AdminId id = lab.admin(kB, AdminOp::stop);
  EXPECT_FALSE(lab.result(kB, id));
  lab.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab.run();
  EXPECT_TRUE(lab.ok(kB, id));
}

// Without a Primary nothing would level what such bits mark: wait-sync would wait for ever after a restart.
TEST(Stop, OfASecondaryAfterACleanHandOverLeavesNothingOutOfSync) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  for (Seat seat : {kB, kA}) {
    ASSERT_TRUE(lab.ok(seat, lab.admin(seat, AdminOp::stop)));
    lab.kill(seat);
    lab.start(seat);
    EXPECT_EQ(lab.show(seat).peers[0].dirty_blocks, 0u) << "before it has met anybody";
    lab.connect_all();
    EXPECT_EQ(lab.show(seat).peers[0].dirty_blocks, 0u);
  }
}

TEST(Invalidate, IsRefusedToAPrimaryAndWithoutASource) {
  Lab lab;
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::invalidate)), Reason::never_used);
  lab.create();
  lab.promote(kA);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::invalidate)), Reason::invalidate_primary);
  lab.cut(kA, kB);
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::invalidate)), Reason::not_a_target);
}

TEST(Invalidate, LeavesTheSetAndIsCopiedAnew) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  const AdminId id = lab.admin(kB, AdminOp::invalidate);
  lab.advance(seconds(1));
  ASSERT_TRUE(lab.ok(kB, id));
  ASSERT_FALSE(lab.node(kB).closed.empty());
  EXPECT_EQ(lab.node(kB).closed.back().reason, Reason::operator_request);
  EXPECT_TRUE(lab.node(kB).record.inconsistent);
  lab.connect(kA, kB);
  lab.advance(seconds(2));
  EXPECT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB}));
  uint64_t copied = 0;
  for (const Note& note : lab.node(kA).notes) copied = note.notice == Notice::resync_finished ? note.a : copied;
  EXPECT_EQ(copied, kLabBytes / kBlockBytes);
}

TEST(Invalidate, GivesUpWhenTheOtherSideDoesNotDecide) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<DropMe>(letter.send.message); };
  const AdminId id = lab.admin(kB, AdminOp::invalidate);
  lab.advance(seconds(16));
  EXPECT_EQ(lab.reason(kB, id), Reason::timed_out);
}

// The Primary has heard them both before it can have either decided.
TEST(Invalidate, TwoAtOnceAreBothDropped) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.hold_mail = [](const Lab::Mail& letter) {
    return letter.from == kA && std::holds_alternative<Prepare>(letter.send.message);
  };
  const AdminId first = lab.admin(kB, AdminOp::invalidate);
  const AdminId second = lab.admin(kC, AdminOp::invalidate);
  ASSERT_FALSE(lab.result(kB, first));
  ASSERT_FALSE(lab.result(kC, second));
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(1));
  EXPECT_TRUE(lab.ok(kB, first));
  EXPECT_TRUE(lab.ok(kC, second));
}

TEST(InvalidateRemote, DropsThePeerAndCopiesItAnew) {
  Lab lab;
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::invalidate_remote, kB)), Reason::never_used);
  lab.create();
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::invalidate_remote, kC)), Reason::peer_not_connected);
  lab.promote(kA);
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::invalidate_remote, kA)), Reason::peer_is_primary);
  const AdminId id = lab.admin(kA, AdminOp::invalidate_remote, kB);
  lab.advance(seconds(2));
  ASSERT_TRUE(lab.ok(kA, id));
  EXPECT_TRUE(lab.node(kA).noted(Notice::peer_dropped));
  EXPECT_TRUE(lab.node(kA).noted(Notice::resync_finished));
  EXPECT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB}));
}

TEST(InvalidateRemote, IsRefusedWhereThisCopyIsNoSource) {
  Lab lab;
  lab.create();  // nobody is Primary: the lowest member copies to others
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::invalidate_remote, kA)), Reason::no_current_copy);
}

TEST(InvalidateRemote, GivesUpWithoutQuorum) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Prepare>(letter.send.message); };
  const AdminId id = lab.admin(kA, AdminOp::invalidate_remote, kB);
  lab.advance(seconds(16));
  EXPECT_EQ(lab.reason(kA, id), Reason::no_quorum);
  EXPECT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
}

}  // namespace
}  // namespace lockstep
