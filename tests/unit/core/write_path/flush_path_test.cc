#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool is_flush(const DiskIo& io) { return io.kind == OpKind::flush; }
bool none(const DiskIo&) { return false; }
size_t flushes_sent(const Lab& lab) {
  return static_cast<size_t>(std::count_if(lab.delivered.begin(), lab.delivered.end(), [](const Lab::Mail& letter) {
    return std::holds_alternative<FlushRequest>(letter.send.message);
  }));
}

TEST(FlushPath, WaitsForEveryMembersFlush) {
  for (Seat slow : {kA, kB}) {
    Lab lab;
    lab.create();
    lab.promote(kA);
    lab.node(slow).hold_disk = is_flush;
    const ClientIo io = lab.request(kA, OpKind::flush, {});
    EXPECT_FALSE(lab.answer(kA, io));
    lab.node(slow).hold_disk = none;
    lab.run();
    EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
  }
}

TEST(FlushPath, FlushesThatComeWhileOneRunsShareTheNext) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kB).hold_disk = is_flush;
  std::vector<ClientIo> all;
  for (int i = 0; i < 4; ++i) all.push_back(lab.request(kA, OpKind::flush, {}));
  lab.node(kB).hold_disk = none;
  lab.run();
  for (ClientIo io : all) EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(flushes_sent(lab), 2u);
}

TEST(FlushPath, AFailedFlushIsAFailureOfTheDisk) {
  for (Seat failing : {kA, kB}) {
    Lab lab;
    lab.create();
    lab.promote(kA);
    lab.node(failing).disk_status = [](const DiskIo& io) { return is_flush(io) ? IoStatus::io_error : IoStatus::ok; };
    const ClientIo io = lab.request(kA, OpKind::flush, {});
    lab.advance(milliseconds(100));
    EXPECT_EQ(lab.answer(kA, io), IoStatus::ok) << "by the copy that is left";
    EXPECT_EQ(lab.node(kA).tenure().members, SeatSet{failing == kA ? kB : kA});
    EXPECT_EQ(lab.show(failing).disk, DiskState::diskless);
  }
}

TEST(FlushPath, WhatWasWrittenIsFlushedInTheBackgroundAndExtentsCoolOnBothCopies) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  EXPECT_EQ(lab.show(kA).hot_extents, 1u);
  EXPECT_EQ(lab.show(kB).hot_extents, 1u);
  lab.advance(seconds(1));
  EXPECT_EQ(flushes_sent(lab), 1u);
  lab.advance(seconds(6));
  EXPECT_EQ(lab.show(kA).hot_extents, 0u);
  EXPECT_EQ(lab.show(kB).hot_extents, 0u);
  EXPECT_FALSE(lab.node(kA).intent.test(0));
  EXPECT_EQ(flushes_sent(lab), 1u);
}

uint64_t last_written(const Lab& lab) {
  uint64_t position = 0;
  for (const Lab::Mail& letter : lab.delivered) {
    if (const auto* write = std::get_if<WriteRequest>(&letter.send.message)) position = std::max(position, write->position);
  }
  return position;
}
std::optional<uint64_t> last_settled(const Lab& lab) {
  std::optional<uint64_t> position;
  for (const Lab::Mail& letter : lab.delivered) {
    if (const auto* settled = std::get_if<Settled>(&letter.send.message)) position = settled->position;
  }
  return position;
}

// What is written while the flush runs may be in caches alone when it ends.
TEST(FlushPath, SettlesWhatHadCompletedWhenItBegan) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  const uint64_t first = last_written(lab);
  lab.node(kB).hold_disk = is_flush;
  lab.request(kA, OpKind::flush, {});
  EXPECT_EQ(lab.answer(kA, lab.write(kA)), IoStatus::ok);
  ASSERT_GT(last_written(lab), first);
  lab.delivered.clear();
  lab.node(kB).hold_disk = none;
  lab.run();
  EXPECT_EQ(last_settled(lab), first);
}

// What the Primary before wrote has no position of its own: it is settled by the first flush of the next one.
TEST(FlushPath, ANewPrimaryKeepsWhatWasHotUntilItHasFlushed) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kA);
  lab.advance(seconds(5));
  lab.promote(kB);
  lab.node(kB).hold_disk = is_flush;
  lab.advance(seconds(10));
  EXPECT_EQ(lab.show(kB).hot_extents, 1u);
  lab.node(kB).hold_disk = none;
  lab.advance(seconds(5));
  EXPECT_EQ(lab.show(kB).hot_extents, 0u);
}

TEST(FlushPath, SettlesNothingThatIsInFlight) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  const uint64_t first = last_written(lab);
  lab.node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  lab.write(kA);
  lab.write(kA, {kExtentBytes, 4096});
  ASSERT_GT(last_written(lab), first + 1);
  EXPECT_EQ(lab.answer(kA, lab.request(kA, OpKind::flush, {})), IoStatus::ok);
  EXPECT_EQ(last_settled(lab), first);
}

TEST(FlushPath, ExtentsStayHotForAnAbsentPeerUntilItsBitsAreDurable) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA);
  lab.advance(milliseconds(10));
  EXPECT_EQ(lab.node(kA).bitmaps[kB.value].count(), 0u);
  lab.advance(seconds(6));
  EXPECT_EQ(lab.node(kA).bitmaps[kB.value].count(), lab.show(kA).dirty_blocks[kB.value]);
  EXPECT_EQ(lab.show(kA).hot_extents, 0u);
}

TEST(FlushPath, AWriteWaitsForRoomAmongTheHotExtents) {
  Lab lab({.configure = [](CoreConfig& config) { config.max_hot_extents = 2; }});
  lab.create();
  lab.promote(kA);
  lab.node(kB).hold_disk = is_flush;
  lab.write(kA, {0, 4096});
  lab.write(kA, {kExtentBytes, 4096});
  const ClientIo third = lab.write(kA, {2 * kExtentBytes, 4096});
  EXPECT_FALSE(lab.answer(kA, third));
  EXPECT_EQ(lab.show(kA).hot_extents, 2u);
  lab.node(kB).hold_disk = none;
  lab.advance(seconds(1));
  EXPECT_EQ(lab.answer(kA, third), IoStatus::ok);
  EXPECT_LE(lab.show(kA).hot_extents, 2u);
}

TEST(FlushPath, AFlushThatEndsWithoutALeaseIsAnsweredWhenItIsBack) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = is_flush;
  const ClientIo io = lab.request(kA, OpKind::flush, {});
  lab.lose_mail = [](const Lab::Mail& letter) {
    return std::holds_alternative<LeaseGranted>(letter.send.message) || std::holds_alternative<Promise>(letter.send.message);
  };
  lab.advance(seconds(4));
  lab.node(kA).hold_disk = none;
  lab.run();
  EXPECT_FALSE(lab.answer(kA, io));
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(2));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
}

TEST(FlushPath, AFlushThatFailsAfterItsPrimaryWasDeposedIsAFailureOfTheDisk) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = is_flush;
  lab.request(kA, OpKind::flush, {});
  ASSERT_FALSE(lab.node(kA).disk.empty());
  const auto io = lab.node(kA).disk.front().io;
  lab.cut(kA, kB);
  lab.cut(kA, kW);
  lab.advance(seconds(8));
  lab.promote(kB);
  lab.connect(kA, kB);
  lab.run();
  ASSERT_FALSE(lab.node(kA).primary);
  lab.node(kA).disk_status = [io](const DiskIo& done) { return done.io == io ? IoStatus::io_error : IoStatus::ok; };
  lab.node(kA).hold_disk = none;
  lab.run();
  EXPECT_TRUE(lab.node(kA).noted(Notice::disk_failed));
}

}  // namespace
}  // namespace lockstep
