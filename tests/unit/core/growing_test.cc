// resize and shrink: a volume gets another end.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class Growing : public testing::Test {
 protected:
  static constexpr uint64_t kSmall = 3 * kExtentBytes;
  void SetUp() override {
    lab_.connect_all();
    ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::new_current_uuid, kNoSeat, {0, kSmall})));
    lab_.promote(kA);
    ASSERT_EQ(size(), kSmall);
  }
  uint64_t size(Seat seat = kA) { return lab_.node(seat).tenure().volumes[0].size_bytes; }
  Reason refused(Seat seat, const Range& range = {}) {
    return lab_.result(seat, lab_.admin(seat, AdminOp::resize, kNoSeat, range))->reason;
  }
  Lab lab_;
};

TEST_F(Growing, ToWhatTheDisksHaveAndWhatIsNewIsCopied) {
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kSmall, 4096})), IoStatus::no_space);
  const AdminId command = lab_.admin(kA, AdminOp::resize);
  EXPECT_TRUE(lab_.ok(kA, command));
  EXPECT_EQ(size(), kLabBytes);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kSmall, 4096})), IoStatus::ok);
  lab_.advance(seconds(2));
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_EQ(size(kB), kLabBytes);
  uint64_t copied = 0;
  for (const Note& note : lab_.node(kA).notes) copied = note.notice == Notice::resync_finished ? note.a : copied;
  EXPECT_EQ(copied, (kLabBytes - kSmall) / kBlockBytes);
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::resize))) << "nothing to do";
}

TEST_F(Growing, ToASizeThatIsNamed) {
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::resize, kNoSeat, {0, kSmall + 2 * 4096 + 512})));
  EXPECT_EQ(size(), kSmall + 2 * 4096);
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA, {kSmall + 4096, 4096})), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA, {kSmall + 8192, 4096})), IoStatus::invalid);
}

TEST_F(Growing, WhatTheOperatorKnowsToBeEqualIsNotCopied) {
  lab_.admin(kA, AdminOp::resize, kNoSeat, {}, 0, true);
  EXPECT_EQ(size(), kLabBytes);
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_FALSE(lab_.node(kA).noted(Notice::resync_started));
}

TEST_F(Growing, RefusesWhatCannotBe) {
  EXPECT_EQ(refused(kB), Reason::not_primary);
  EXPECT_EQ(refused(kA, {0, kSmall - 4096}), Reason::would_shrink);
  EXPECT_EQ(refused(kA, {0, kLabBytes + 4096}), Reason::disks_too_small);
  lab_.cut(kA, kB);
  EXPECT_EQ(refused(kA), Reason::not_all_current);
  EXPECT_EQ(size(), kSmall);
}

// The disk that was to be the only current one fails while the voters are being asked.
TEST_F(Growing, IsGivenUpWithTheDisk) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Promise>(letter.send.message); };
  const AdminId command = lab_.admin(kA, AdminOp::resize);
  lab_.node(kA).disk_status = [](const DiskIo& io) { return is_change(io.kind) ? IoStatus::io_error : IoStatus::ok; };
  lab_.write(kA);
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  lab_.advance(seconds(2));
  EXPECT_EQ(lab_.result(kA, command)->reason, Reason::no_disk);
  EXPECT_EQ(size(), kSmall);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
}

// What is new is marked before the tenure that says so is recorded: whoever stops in between knows of neither or of both.
TEST_F(Growing, IsRecordedAfterTheMarks) {
  lab_.node(kA).hold_meta_of = [](LabNode::Meta meta) { return meta == LabNode::Meta::bitmap; };
  const AdminId command = lab_.admin(kA, AdminOp::resize);
  lab_.advance(milliseconds(100));
  EXPECT_FALSE(lab_.result(kA, command));
  EXPECT_EQ(lab_.node(kA).record.adopted->volumes[0].size_bytes, kSmall);
  lab_.node(kA).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_.run();
  EXPECT_TRUE(lab_.ok(kA, command));
}

// B is back before it is decided that it was lost: it is dropped, resynced and about to join while the volume would grow.
TEST_F(Growing, NotWhileACopyIsAboutToBeDropped) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accepted>(letter.send.message); };
  lab_.cut(kA, kB);
  lab_.connect(kA, kB);
  lab_.run();
  const AdminId command = lab_.admin(kA, AdminOp::resize);
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  lab_.advance(seconds(3));
  EXPECT_EQ(lab_.result(kA, command)->reason, Reason::not_all_current);
  EXPECT_EQ(size(), kSmall);
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::resize)));
}

TEST_F(Growing, NotWhileIoIsSuspended) {
  lab_.admin(kA, AdminOp::suspend_io);
  EXPECT_EQ(refused(kA), Reason::io_suspended);
}

class Shrinking : public Growing {
 protected:
  static constexpr uint64_t kLess = kExtentBytes + 3 * kBlockBytes;  // within an extent
  static constexpr uint64_t kTail = 2 * kExtentBytes;                // given up
  AdminId shrink(uint64_t bytes = kLess) { return lab_.admin(kA, AdminOp::shrink, kNoSeat, {0, bytes}); }
  Reason not_shrunk(uint64_t bytes) { return lab_.result(kA, shrink(bytes))->reason; }
};

TEST_F(Shrinking, TheSetStaysAndNobodyIsServedBeyondTheEnd) {
  EXPECT_TRUE(lab_.ok(kA, shrink(kLess + 512))) << "down to whole blocks";
  EXPECT_EQ(size(), kLess);
  EXPECT_EQ(size(kB), kLess);
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_FALSE(lab_.node(kA).noted(Notice::resync_started));
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kLess - 4096, 4096})), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kLess - 4096, 8192})), IoStatus::no_space);
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA, {kTail, 4096})), IoStatus::invalid);
}

TEST_F(Shrinking, RefusesWhatIsNotSmallerAndWhatCannotBe) {
  EXPECT_EQ(lab_.result(kB, lab_.admin(kB, AdminOp::shrink, kNoSeat, {0, kLess}))->reason, Reason::not_primary);
  EXPECT_EQ(not_shrunk(kSmall + 4096), Reason::would_grow);
  EXPECT_EQ(not_shrunk(100), Reason::would_grow) << "to nothing";
  lab_.cut(kA, kB);
  EXPECT_EQ(not_shrunk(kLess), Reason::not_all_current);
  EXPECT_EQ(size(), kSmall);
}

TEST_F(Shrinking, WaitsForWhatClientsAskedForBeyondTheEnd) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  const ClientIo late = lab_.write(kA, {kTail, 4096});
  const AdminId command = shrink();
  lab_.advance(milliseconds(200));
  EXPECT_FALSE(lab_.result(kA, command));
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kTail + 8192, 4096})), IoStatus::no_space) << "nobody comes in behind it";
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, late), IoStatus::ok);
  EXPECT_TRUE(lab_.ok(kA, command));
  EXPECT_EQ(size(), kLess);
}

// What was written is hot as its Primary goes, also what is beyond the end by then.
TEST_F(Shrinking, NothingIsOutOfSyncBeyondTheEnd) {
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kTail, 4096})), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {0, 4096})), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kExtentBytes, 4096})), IoStatus::ok);
  EXPECT_TRUE(lab_.ok(kA, shrink()));
  lab_.kill(kA);
  lab_.advance(seconds(3));
  lab_.promote(kB);
  lab_.start(kA);
  EXPECT_EQ(lab_.show(kA).dirty_blocks[kB.value], kLess / kBlockBytes) << "from the start on";
  lab_.connect(kA, kB);
  lab_.connect(kA, kW);
  lab_.advance(seconds(3));
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  uint64_t copied = 0;
  for (const Note& note : lab_.node(kB).notes) copied = note.notice == Notice::resync_finished ? note.a : copied;
  EXPECT_EQ(copied, kLess / kBlockBytes) << "all that is hot, up to the end";
  EXPECT_EQ(lab_.show(kA).dirty_blocks[kB.value], 0u);
  EXPECT_EQ(lab_.show(kB).dirty_blocks[kA.value], 0u);
}

// Before the Primary was heard the hot extents of a Secondary stand in for bits.
TEST_F(Shrinking, NothingIsInDoubtBeyondTheEndOnASecondaryThatComesBack) {
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kTail, 4096})), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kExtentBytes, 4096})), IoStatus::ok);
  EXPECT_TRUE(lab_.ok(kA, shrink()));
  lab_.kill(kB);
  lab_.start(kB);
  EXPECT_EQ(lab_.show(kB).dirty_blocks[kA.value], (kLess - kExtentBytes) / kBlockBytes);
}

TEST_F(Shrinking, WhatWasFoundToDifferBeyondTheEndIsForgotten) {
  lab_.node(kB).disk_finds = [](const DiskIo& io) { return io.look == Look::compare ? BlockMask{1} : BlockMask{0}; };
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::verify, kNoSeat)));
  lab_.advance(seconds(2));
  const auto differing = [this] { return lab_.show(kA).peers[0].verify.differing; };
  EXPECT_EQ(differing(), kSmall / kBlockBytes / 64) << "one in each chunk";
  EXPECT_TRUE(lab_.ok(kA, shrink()));
  EXPECT_EQ(differing(), kLess / kBlockBytes / 64 + 1);
}

// What was given up has been anybody's meanwhile.
TEST_F(Shrinking, WhatGrowsAgainIsCopied) {
  EXPECT_TRUE(lab_.ok(kA, shrink()));
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::resize, kNoSeat, {0, kSmall})));
  lab_.advance(seconds(2));
  EXPECT_EQ(size(kB), kSmall);
  uint64_t copied = 0;
  for (const Note& note : lab_.node(kA).notes) copied = note.notice == Notice::resync_finished ? note.a : copied;
  EXPECT_EQ(copied, (kSmall - kLess) / kBlockBytes);
}

// The command is over, and what it proposed may still be decided: nobody writes what would be lost by that.
TEST_F(Shrinking, WhatWasProposedHoldsWhenTheCommandIsOver) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accepted>(letter.send.message); };
  const AdminId command = shrink();
  lab_.advance(seconds(20));
  EXPECT_EQ(lab_.reason(kA, command), Reason::resize_undecided);
  EXPECT_EQ(size(), kSmall);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {kTail, 4096})), IoStatus::no_space);
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  lab_.advance(seconds(3));
  EXPECT_EQ(size(), kLess);
}

TEST_F(Shrinking, NotWhileTheCopiesAreCompared) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<CompareReply>(letter.send.message); };
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::verify, kNoSeat)));
  EXPECT_EQ(not_shrunk(kLess), Reason::verify_active);
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  lab_.advance(seconds(2));
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  lab_.write(kA, {kTail, 4096});
  const AdminId command = shrink();
  EXPECT_EQ(lab_.reason(kA, lab_.admin(kA, AdminOp::verify, kNoSeat)), Reason::busy);
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_TRUE(lab_.ok(kA, command));
}

}  // namespace
}  // namespace lockstep
