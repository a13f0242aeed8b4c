// suspend-io and resume-io.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class SuspendedIo : public testing::Test {
 protected:
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
  }
  void suspend() { EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::suspend_io))); }
  void resume() { EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::resume_io))); }
  Lab lab_;
};

TEST_F(SuspendedIo, WaitsUntilItMayGoOn) {
  suspend();
  const ClientIo write = lab_.write(kA);
  const ClientIo read = lab_.read(kA);
  const ClientIo flush = lab_.request(kA, OpKind::flush, {});
  lab_.advance(seconds(60));
  for (const ClientIo io : {write, read, flush}) EXPECT_FALSE(lab_.answer(kA, io));
  EXPECT_TRUE(lab_.show(kA).suspended);
  EXPECT_TRUE(lab_.show(kA).suspended_by_operator);
  EXPECT_EQ(lab_.show(kA).reason, Reason::io_suspended);
  resume();
  for (const ClientIo io : {write, read, flush}) EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_FALSE(lab_.show(kA).suspended);
  resume();  // again
}

TEST_F(SuspendedIo, WhatWasUnderWayIsDoneAndFlushedEverywhereBeforeTheCommandEnds) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  const ClientIo write = lab_.write(kA);
  int flushed = 0;
  lab_.node(kB).disk_status = [&flushed](const DiskIo& io) {
    if (io.kind == OpKind::flush) ++flushed;
    return IoStatus::ok;
  };
  const AdminId command = lab_.admin(kA, AdminOp::suspend_io);
  lab_.advance(milliseconds(600));
  EXPECT_FALSE(lab_.result(kA, command));
  EXPECT_FALSE(lab_.answer(kA, write));
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  lab_.advance(milliseconds(1));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_TRUE(lab_.ok(kA, command));
  EXPECT_GE(flushed, 1);
}

TEST_F(SuspendedIo, ACommandThatCannotDrainLetsRequestsGoOn) {
  lab_.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::read; };
  lab_.read(kA);
  const AdminId command = lab_.admin(kA, AdminOp::suspend_io);
  const ClientIo write = lab_.write(kA, {8192, 4096});
  lab_.advance(seconds(16));
  ASSERT_TRUE(lab_.result(kA, command));
  EXPECT_EQ(lab_.result(kA, command)->reason, Reason::io_pending);
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
}

TEST_F(SuspendedIo, ACommandThatFailsTakesNothingBackThatWasSuspendedBefore) {
  suspend();
  lab_.cut(kA, kB);
  lab_.cut(kA, kW);
  lab_.advance(seconds(6));
  const AdminId again = lab_.admin(kA, AdminOp::suspend_io);
  lab_.advance(seconds(20));
  EXPECT_FALSE(lab_.ok(kA, again));
  EXPECT_TRUE(lab_.show(kA).suspended_by_operator);
}

TEST_F(SuspendedIo, WaitsForWhatIsBeingHealed) {
  lab_.node(kA).disk_status = [](const DiskIo& io) { return io.kind == OpKind::read ? IoStatus::io_error : IoStatus::ok; };
  int reads = 0;
  lab_.node(kB).hold_disk = [&reads](const DiskIo& io) { return io.kind == OpKind::read && ++reads > 1; };
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  const AdminId command = lab_.admin(kA, AdminOp::suspend_io);
  lab_.advance(seconds(1));
  EXPECT_FALSE(lab_.result(kA, command)) << "the heal has not written yet";
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  lab_.advance(seconds(1));
  EXPECT_TRUE(lab_.ok(kA, command));
  EXPECT_EQ(lab_.show(kA).healed_blocks, 1U);
}

TEST_F(SuspendedIo, IsNoBusinessOfASecondary) {
  EXPECT_EQ(lab_.result(kB, lab_.admin(kB, AdminOp::suspend_io))->reason, Reason::not_primary);
}

TEST_F(SuspendedIo, KeepsTheRoleUntilItGoesOn) {
  suspend();
  EXPECT_EQ(lab_.result(kA, lab_.admin(kA, AdminOp::secondary))->reason, Reason::io_suspended);
  resume();
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  lab_.promote(kA);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
}

TEST_F(SuspendedIo, IsOverWhenTheNodeIsStopped) {
  suspend();
  const ClientIo write = lab_.write(kA);
  const AdminId stop = lab_.admin(kA, AdminOp::stop);
  lab_.advance(seconds(1));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  ASSERT_TRUE(lab_.ok(kA, stop));
  EXPECT_EQ(lab_.result(kA, stop)->reason, Reason::none) << "and it handed over";
}

TEST_F(SuspendedIo, AFreezeForWantOfVotesIsToldBesides) {
  suspend();
  lab_.cut(kA, kB);
  lab_.cut(kA, kW);
  lab_.advance(seconds(10));
  EXPECT_TRUE(lab_.show(kA).suspended_by_operator);
  EXPECT_NE(lab_.show(kA).reason, Reason::io_suspended);
  const ClientIo write = lab_.write(kA);
  resume();
  lab_.advance(seconds(1));
  EXPECT_FALSE(lab_.answer(kA, write)) << "there is no lease";
  lab_.connect(kA, kB);
  lab_.connect(kA, kW);
  lab_.advance(seconds(5));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
}

}  // namespace
}  // namespace lockstep
