#include "core/verify/verifier.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class VerifierTest : public testing::Test {
 protected:
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
    lab_.advance(seconds(1));
    lab_.delivered.clear();
  }
  const VerifySnapshot& seen(Seat by = kA) {
    shown_ = lab_.show(by);
    return shown_.peers.at(0).verify;
  }
  // B's copy differs in these blocks of this chunk of 64.
  void differ(uint64_t chunk, BlockMask mask) {
    lab_.node(kB).disk_finds = [chunk, mask](const DiskIo& io) {
      return io.look == Look::compare && io.range.offset == chunk * kLookBlocks * kBlockBytes ? mask : 0;
    };
  }
  Reason refusal(Seat by, Seat peer = kNoSeat) { return lab_.reason(by, lab_.admin(by, AdminOp::verify, peer)); }
  Lab lab_;
  Snapshot shown_;
};

TEST_F(VerifierTest, ComparesTheWholeVolume) {
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::verify)));
  lab_.advance(seconds(1));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::verify_started));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::verify_finished));
  uint64_t bytes = 0;
  for (const Lab::Mail& letter : lab_.delivered) {
    if (const auto* request = std::get_if<CompareRequest>(&letter.send.message)) bytes += request->range.length;
  }
  EXPECT_EQ(bytes, kLabBytes);
  EXPECT_TRUE(seen().completed);
  EXPECT_EQ(seen().differing, 0u);
}

TEST(VerifierByTheClock, ThePrimaryComparesAsOftenAsConfigured) {
  Lab lab({.configure = [](CoreConfig& config) { config.verify_interval = seconds(20); }});
  lab.create();
  lab.promote(kA);
  const auto finished = [&lab](Seat seat) {
    return std::count_if(lab.node(seat).notes.begin(), lab.node(seat).notes.end(),
                         [](const Note& note) { return note.notice == Notice::verify_finished; });
  };
  lab.advance(seconds(19));
  EXPECT_EQ(finished(kA), 0);
  lab.advance(seconds(3));
  EXPECT_EQ(finished(kA), 1);
  lab.advance(seconds(20));
  EXPECT_EQ(finished(kA), 2);
  EXPECT_EQ(finished(kB), 0);
}

TEST_F(VerifierTest, ComparesAPartOfIt) {
  lab_.admin(kA, AdminOp::verify, kNoSeat, {5 * kBlockBytes + 1, 10});
  lab_.advance(seconds(1));
  for (const Lab::Mail& letter : lab_.delivered) {
    const auto* request = std::get_if<CompareRequest>(&letter.send.message);
    EXPECT_TRUE(request == nullptr || request->range == (Range{5 * kBlockBytes, kBlockBytes}));
  }
  EXPECT_TRUE(seen().completed);
}

TEST_F(VerifierTest, RefusesAPlaceBeyondTheEnd) {
  EXPECT_EQ(lab_.reason(kA, lab_.admin(kA, AdminOp::verify, kNoSeat, {kLabBytes, 4096})), Reason::beyond_the_end);
  EXPECT_FALSE(lab_.node(kA).noted(Notice::verify_started));
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::verify, kNoSeat, {kLabBytes - 4096, 8192})));
}

TEST_F(VerifierTest, ListsWhatDiffersAndMarksNothing) {
  differ(17, 0b101);
  lab_.admin(kA, AdminOp::verify);
  lab_.advance(seconds(1));
  EXPECT_EQ(seen().differing, 2u);
  ASSERT_EQ(seen().extents.size(), 1u);
  EXPECT_EQ(seen().extents[0], (Range{kExtentBytes, kExtentBytes}));
  EXPECT_EQ(lab_.show(kA).dirty_blocks[kB.value], 0u) << "a resync would copy one over the other, right or wrong";
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
}

TEST_F(VerifierTest, ForgetsWhatIsWrittenAsAWhole) {
  differ(0, 0b1110);
  lab_.admin(kA, AdminOp::verify);
  lab_.advance(seconds(1));
  ASSERT_EQ(seen().differing, 3u);
  lab_.write(kA, {kBlockBytes, kBlockBytes});
  EXPECT_EQ(seen().differing, 2u);
  lab_.write(kA, {2 * kBlockBytes, 512});
  EXPECT_EQ(seen().differing, 2u);
}

TEST_F(VerifierTest, ForgetsWhatAnotherComparisonFindsEqual) {
  differ(0, 1);
  lab_.admin(kA, AdminOp::verify);
  lab_.advance(seconds(1));
  ASSERT_EQ(seen().differing, 1u);
  differ(0, 0);
  lab_.admin(kA, AdminOp::verify);
  lab_.advance(seconds(1));
  EXPECT_EQ(seen().differing, 0u);
}

// A write that is on one disk and not yet on the other is no difference.
TEST_F(VerifierTest, WaitsForWritesUnderWayAndHoldsThoseThatCome) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  lab_.write(kA, {0, 4096});
  lab_.admin(kA, AdminOp::verify, kNoSeat, {0, 4096});
  lab_.advance(milliseconds(50));
  const auto asked = [this] {
    return std::any_of(lab_.delivered.begin(), lab_.delivered.end(),
                       [](const Lab::Mail& letter) { return std::holds_alternative<CompareRequest>(letter.send.message); });
  };
  EXPECT_FALSE(asked());
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  lab_.advance(milliseconds(50));
  EXPECT_TRUE(asked());
  const ClientIo later = lab_.write(kA, {0, 4096});
  EXPECT_FALSE(lab_.answer(kA, later));
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.advance(milliseconds(50));
  EXPECT_EQ(lab_.answer(kA, later), IoStatus::ok);
  EXPECT_TRUE(seen().completed);
}

TEST_F(VerifierTest, IsThePrimarysBusiness) {
  EXPECT_EQ(refusal(kB), Reason::verify_elsewhere);
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  EXPECT_TRUE(lab_.ok(kB, lab_.admin(kB, AdminOp::verify)));
  lab_.advance(seconds(1));
  EXPECT_TRUE(seen(kB).completed);
}

TEST_F(VerifierTest, NeedsACurrentCopyAtTheOtherEnd) {
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  EXPECT_EQ(refusal(kA), Reason::peer_not_connected);
}

TEST(Verifier, OfAResourceThatWasNeverUsedIsRefused) {
  Lab lab;
  lab.connect_all();
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::verify)), Reason::never_used);
}

TEST_F(VerifierTest, RunsOnceAtATime) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  lab_.admin(kA, AdminOp::verify);
  EXPECT_EQ(refusal(kA), Reason::verify_active);
  EXPECT_EQ(lab_.show(kA).peers[0].replication, ReplicationState::verify_source);
  EXPECT_EQ(lab_.show(kB).peers[0].replication, ReplicationState::verify_target);
}

TEST_F(VerifierTest, EndsWhenItIsStoppedAndLetsGoOfWhatItHeld) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  lab_.admin(kA, AdminOp::verify);
  const ClientIo held = lab_.write(kA, {0, 4096});
  EXPECT_FALSE(lab_.answer(kA, held));
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::verify_stop)));
  EXPECT_EQ(lab_.answer(kA, held), IoStatus::ok);
  EXPECT_TRUE(lab_.node(kA).noted(Notice::verify_aborted));
  EXPECT_FALSE(seen().completed);
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::verify)));
}

TEST_F(VerifierTest, EndsWithTheLink) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  lab_.admin(kA, AdminOp::verify);
  lab_.cut(kA, kB);
  lab_.advance(milliseconds(200));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::verify_aborted));
  EXPECT_FALSE(seen().running);
}

TEST_F(VerifierTest, APeerThatDoesNotAnswerIsDropped) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  lab_.admin(kA, AdminOp::verify);
  lab_.advance(seconds(10));
  EXPECT_TRUE(std::any_of(lab_.node(kA).closed.begin(), lab_.node(kA).closed.end(),
                          [](const CloseLink& close) { return close.reason == Reason::acknowledgement_timeout; }));
}

// That block alone: another one of its chunk may be right on the side that can't read this one.
TEST_F(VerifierTest, ABlockThatCannotBeReadOnEitherSideIsWrittenAnew) {
  for (Seat bad : {kA, kB}) {
    const uint64_t before = lab_.show(kA).healed_blocks;
    lab_.node(bad).disk_status = [](const DiskIo& io) {
      const bool asked = io.look == Look::compare || io.look == Look::digests;
      return asked && io.range.overlaps({3 * kBlockBytes, kBlockBytes}) ? IoStatus::io_error : IoStatus::ok;
    };
    lab_.admin(kA, AdminOp::verify);
    lab_.advance(seconds(1));
    EXPECT_TRUE(seen().completed);
    EXPECT_EQ(lab_.show(kA).healed_blocks - before, 1u);
    EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
    lab_.node(bad).disk_status = [](const DiskIo&) { return IoStatus::ok; };
  }
}

TEST_F(VerifierTest, ACancelledRepairEnds) {
  differ(0, ~BlockMask{0});
  lab_.admin(kA, AdminOp::verify);
  lab_.advance(seconds(1));
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  lab_.admin(kA, AdminOp::repair, kA);
  EXPECT_TRUE(seen().repairing);
  lab_.admin(kA, AdminOp::verify_stop);
  EXPECT_FALSE(seen().repairing);
  EXPECT_TRUE(lab_.node(kA).noted(Notice::repair_finished));
}

// A heal that waits behind a chunk ends at once when the link is lost.
TEST_F(VerifierTest, EndsWhileAHealWaitsBetweenItsChunks) {
  const Range bad{kLookBlocks * kBlockBytes - 4096, 4096};
  lab_.node(kA).disk_status = [bad](const DiskIo& io) {
    return io.kind == OpKind::read && io.look == Look::nothing && io.range.overlaps(bad) ? IoStatus::io_error : IoStatus::ok;
  };
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  lab_.admin(kA, AdminOp::verify, kNoSeat, {0, kLookBlocks * kBlockBytes});
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA, bad)), IoStatus::ok);
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  EXPECT_FALSE(seen().running);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, bad)), IoStatus::ok);
}

// It came to its end when another tenure had begun there: what was read may be newer than what it was compared with.
TEST_F(VerifierTest, AComparisonOfAnEarlierTenureIsNone) {
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  differ(0, 1);
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::verify)));
  lab_.promote(kB);
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.advance(seconds(1));
  EXPECT_EQ(seen().differing, 0u);
  EXPECT_FALSE(seen().running);
}

TEST_F(VerifierTest, RepairsFromTheCopyThatIsSaidToBeRight) {
  for (Seat from : {kA, kB}) {
    differ(0, 0b110);
    lab_.admin(kA, AdminOp::verify);
    lab_.advance(seconds(1));
    ASSERT_EQ(seen().differing, 2u);
    std::vector<DiskIo> read;
    lab_.node(from).disk_status = [&read](const DiskIo& io) {
      if (io.kind == OpKind::read && io.look == Look::nothing) read.push_back(io);
      return IoStatus::ok;
    };
    EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::repair, from)));
    lab_.advance(seconds(1));
    EXPECT_EQ(seen().differing, 0u);
    EXPECT_FALSE(seen().repairing);
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(read[0].range, (Range{kBlockBytes, 2 * kBlockBytes}));
    lab_.node(from).disk_status = [](const DiskIo&) { return IoStatus::ok; };
  }
  EXPECT_TRUE(lab_.node(kA).noted(Notice::repair_finished));
  EXPECT_EQ(lab_.show(kA).healed_blocks, 4u);
}

TEST_F(VerifierTest, RepairsOnlyOnThePrimaryAndFromACurrentCopy) {
  EXPECT_EQ(lab_.reason(kB, lab_.admin(kB, AdminOp::repair, kA)), Reason::verify_elsewhere);
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  EXPECT_EQ(lab_.reason(kA, lab_.admin(kA, AdminOp::repair, kB)), Reason::peer_not_connected);
}

// It is copied in full then.
TEST_F(VerifierTest, WhatDifferedIsForgottenWhenTheCopyIsMadeAnew) {
  differ(3, 1);
  lab_.admin(kA, AdminOp::verify);
  lab_.advance(seconds(1));
  ASSERT_EQ(seen().differing, 1u);
  lab_.admin(kB, AdminOp::invalidate);
  lab_.connect(kA, kB);
  lab_.advance(seconds(3));
  ASSERT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_EQ(seen().differing, 0u);
}

}  // namespace
}  // namespace lockstep
