#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool is_read(const DiskIo& io) { return io.kind == OpKind::read; }
IoStatus reads_fail(const DiskIo& io) { return is_read(io) ? IoStatus::io_error : IoStatus::ok; }

class ReadPathTest : public testing::Test {
 protected:
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
  }
  Lab lab_;
};

TEST_F(ReadPathTest, AReadWaitsForAnOverlappingWrite) {
  lab_.node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  const ClientIo write = lab_.write(kA, {0, 8192});
  const ClientIo read = lab_.read(kA, {4096, 4096});
  const ClientIo other = lab_.read(kA, {8192, 4096});
  EXPECT_FALSE(lab_.answer(kA, read));
  EXPECT_EQ(lab_.answer(kA, other), IoStatus::ok);
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, read), IoStatus::ok);
}

TEST_F(ReadPathTest, AWriteWaitsForAnOverlappingRead) {
  lab_.node(kA).hold_disk = is_read;
  lab_.read(kA);
  const ClientIo write = lab_.write(kA);
  EXPECT_FALSE(lab_.answer(kA, write));
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
}

TEST_F(ReadPathTest, AReadThatFailsHereIsAnsweredByThePeer) {
  lab_.node(kA).disk_status = reads_fail;
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).disk, DiskState::diskless);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
}

TEST_F(ReadPathTest, TheLastCopyPassesTheErrorOnAndStays) {
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  lab_.node(kA).disk_status = reads_fail;
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::io_error);
  EXPECT_EQ(lab_.show(kA).disk, DiskState::up_to_date);
}

TEST_F(ReadPathTest, AnErrorThereToo) {
  lab_.node(kA).disk_status = reads_fail;
  lab_.node(kB).disk_status = reads_fail;
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::io_error);
}

TEST_F(ReadPathTest, ADisklessPrimaryWaitsForACopyToReadFrom) {
  lab_.node(kA).disk_status = reads_fail;
  lab_.read(kA);
  lab_.cut(kA, kB);
  const ClientIo io = lab_.read(kA);
  lab_.advance(seconds(2));
  EXPECT_FALSE(lab_.answer(kA, io));
  EXPECT_EQ(lab_.show(kA).reason, Reason::peer_loss_undecided);
}

TEST_F(ReadPathTest, AReplyThatNobodyWaitsForIsReleased) {
  const PayloadId payload = lab_.fresh_payload();
  lab_.step(kA, MessageReceived{kB, lab_.link(kA, kB),
                                ReadReply{stamp_of(lab_.node(kA).tenure()), OpId{99}, IoStatus::ok, {0, 4096}}, payload});
  EXPECT_EQ(std::count(lab_.node(kA).released.begin(), lab_.node(kA).released.end(), payload), 1);
}

TEST_F(ReadPathTest, AReadThatEndsAfterItsPrimaryWasDeposedAnswersNobody) {
  lab_.node(kA).hold_disk = is_read;
  const ClientIo io = lab_.read(kA);
  lab_.cut(kA, kW);
  lab_.cut(kA, kB);
  lab_.advance(seconds(4));
  lab_.promote(kB);
  lab_.connect_all();
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::shut_down);
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
}

}  // namespace
}  // namespace lockstep
