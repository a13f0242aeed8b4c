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

// The block beside the bad one may be the only good one of its kind: it is left alone.
TEST_F(ReadPathTest, AReadThatFailsHereIsAnsweredByThePeerAndOnlyTheBadBlockIsWrittenAnew) {
  std::vector<DiskIo> written;
  lab_.node(kA).disk_status = [&written](const DiskIo& io) {
    if (is_change(io.kind)) written.push_back(io);
    return is_read(io) && io.range.overlaps({4096, 4096}) ? IoStatus::io_error : IoStatus::ok;
  };
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA, {512, 16384})), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).disk, DiskState::up_to_date);
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0].range, (Range{4096, 4096}));
  EXPECT_EQ(lab_.show(kA).healed_blocks, 1u);
  EXPECT_TRUE(lab_.node(kA).noted(Notice::read_failed));
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
}

TEST_F(ReadPathTest, ADiskThatFailsTimeAndAgainIsGivenUp) {
  lab_.node(kA).disk_status = reads_fail;
  for (int i = 0; i < 33; ++i) EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).disk, DiskState::diskless);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
}

TEST_F(ReadPathTest, ADiskThatCannotBeWrittenAnewIsGivenUp) {
  lab_.node(kA).disk_status = [](const DiskIo& io) { return io.kind == OpKind::flush ? IoStatus::ok : IoStatus::io_error; };
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).disk, DiskState::diskless);
}

// What is written anew is read while nobody can write: a write that comes meanwhile is not undone.
TEST_F(ReadPathTest, AHealHoldsItsRangeFromTheRead) {
  lab_.node(kA).disk_status = reads_fail;
  lab_.node(kB).hold_disk = is_read;
  const ClientIo read = lab_.read(kA);
  const ClientIo write = lab_.write(kA);
  EXPECT_FALSE(lab_.answer(kA, read));
  EXPECT_FALSE(lab_.answer(kA, write));
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, read), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).healed_blocks, 1u);
}

// The copy that has it right goes away before it has said what that is.
TEST_F(ReadPathTest, AHealWhoseSourceIsLostIsGivenUp) {
  lab_.node(kA).disk_status = reads_fail;
  lab_.node(kB).hold_disk = is_read;
  const ClientIo io = lab_.read(kA);
  lab_.cut(kA, kB);
  lab_.advance(seconds(2));
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::io_error) << "the last copy passes the error on";
  lab_.node(kA).disk_status = [](const DiskIo&) { return IoStatus::ok; };
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).healed_blocks, 0u);
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
  lab_.node(kA).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab_.write(kA);
  ASSERT_EQ(lab_.show(kA).disk, DiskState::diskless);
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

LabOptions balanced(ReadBalancing how) {
  LabOptions options = three_data_nodes();
  options.configure = [how](CoreConfig& config) { config.read_balancing = how; };
  return options;
}

class Balanced : public testing::Test {
 protected:
  explicit Balanced(ReadBalancing how = ReadBalancing::round_robin) : lab_(balanced(how)) {
    lab_.create();
    lab_.promote(kA);
    for (Seat seat : {kA, kB, kC}) {
      lab_.node(seat).disk_status = [this, seat](const DiskIo& io) {
        if (is_read(io)) ++read_[seat.value];
        return is_read(io) && bad_.contains(seat) ? IoStatus::io_error : IoStatus::ok;
      };
    }
  }
  std::array<int, kMaxDataNodes> read_{};
  SeatSet bad_;
  Lab lab_;
};

class LeastPending : public Balanced {
 protected:
  LeastPending() : Balanced(ReadBalancing::least_pending) {}
};

TEST_F(Balanced, EveryCopyOfTheSetAnswersInTurn) {
  for (int i = 0; i < 6; ++i) EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(read_[0], 2);
  EXPECT_EQ(read_[1], 2);
  EXPECT_EQ(read_[2], 2);
}

TEST_F(Balanced, ACopyThatIsOutOfTheSetAnswersNothing) {
  lab_.cut(kA, kC);
  lab_.cut(kB, kC);
  lab_.write(kA);
  lab_.advance(seconds(1));
  ASSERT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<ResyncMap>(letter.send.message); };
  lab_.connect(kA, kC);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(read_[0], 3);
  EXPECT_EQ(read_[1], 3);
  EXPECT_EQ(read_[2], 0);
}

TEST_F(Balanced, WhatAPeerCannotReadAnotherCopyAnswersAndIsWrittenAnewThere) {
  std::vector<DiskIo> written;
  lab_.node(kB).disk_status = [&written](const DiskIo& io) {
    if (is_change(io.kind)) written.push_back(io);
    return is_read(io) && io.range.overlaps({4096, 4096}) ? IoStatus::io_error : IoStatus::ok;
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(lab_.answer(kA, lab_.read(kA, {0, 16384})), IoStatus::ok);
  ASSERT_EQ(written.size(), 1U) << "the block that is bad, and none of those beside it";
  EXPECT_EQ(written[0].range, (Range{4096, 4096}));
  EXPECT_EQ(lab_.show(kA).healed_blocks, 1U);
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB, kC}));
  EXPECT_TRUE(lab_.node(kB).noted(Notice::read_failed));
}

TEST_F(Balanced, TheThirdCopyIsAskedBeforeAnErrorIsPassedOn) {
  bad_ = {kA, kB};
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  bad_ = {kA, kB, kC};
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::io_error);
}

// Nothing depends on whether the peer comes back: the copy here is as good.
TEST_F(Balanced, AReadThatWaitsForALostPeerIsDoneElsewhereAtOnce) {
  for (Seat seat : {kB, kC}) lab_.node(seat).hold_disk = is_read;
  std::vector<ClientIo> reads;
  for (int i = 0; i < 6; ++i) reads.push_back(lab_.read(kA));
  lab_.kill(kB);
  lab_.kill(kC);
  for (const ClientIo io : reads) EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
}

TEST_F(LeastPending, TheCopyThatHasLeastToDoAnswers) {
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(read_[0], 1) << "the one here, while all are idle";
  for (Seat seat : {kA, kB, kC}) lab_.node(seat).hold_disk = is_read;
  for (int i = 0; i < 5; ++i) lab_.read(kA);
  for (Seat seat : {kA, kB, kC}) lab_.node(seat).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(read_[0] + read_[1] + read_[2], 6);
  EXPECT_EQ(read_[1], 2);
  EXPECT_GE(read_[2], 1);
}

// The copy here was right when the heal was asked for; then its disk refused a write that the other copy has, and it left the set. (A review
// had it written over the only good copy.)
TEST_F(ReadPathTest, NothingIsWrittenAnewFromACopyThatLeftTheSetMeanwhile) {
  lab_.write(kA);
  lab_.node(kB).disk_finds = [](const DiskIo&) { return BlockMask{1}; };
  lab_.admin(kA, AdminOp::verify, kNoSeat, {0, 4096});
  lab_.advance(seconds(2));
  lab_.node(kA).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  const ClientIo write = lab_.write(kA);
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::repair, kA)));
  int written = 0;
  lab_.node(kB).disk_status = [&written](const DiskIo& io) {
    written += io.kind == OpKind::write ? 1 : 0;
    return IoStatus::ok;
  };
  lab_.node(kA).disk_status = [](const DiskIo& io) { return is_change(io.kind) ? IoStatus::io_error : IoStatus::ok; };
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  lab_.advance(seconds(3));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
  EXPECT_EQ(written, 0);
  EXPECT_EQ(lab_.show(kA).healed_blocks, 0U);
}

// It was asked, and its disk failed; then it comes back well.
TEST_F(ReadPathTest, ACopyThatIsWellAgainAnswersWhatItCouldNotReadBefore) {
  lab_.node(kA).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab_.write(kA);
  lab_.advance(seconds(1));
  lab_.node(kB).hold_disk = is_read;
  const ClientIo read = lab_.read(kA);
  lab_.node(kB).meta_ok = false;
  lab_.write(kA, {32 << 20, 4096});
  lab_.advance(seconds(1));
  EXPECT_FALSE(lab_.answer(kA, read));
  lab_.kill(kB);
  lab_.node(kB).meta_ok = true;
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.start(kB);
  lab_.connect_all();
  lab_.advance(seconds(8));
  EXPECT_EQ(lab_.answer(kA, read), IoStatus::ok);
}

TEST_F(Balanced, ABadBlockFarBehindTheBeginningIsFoundToo) {
  lab_.node(kB).disk_status = [](const DiskIo& io) {
    return is_read(io) && io.range.overlaps({100 * 4096, 4096}) ? IoStatus::io_error : IoStatus::ok;
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(lab_.answer(kA, lab_.read(kA, {0, 512 * 1024})), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).healed_blocks, 1U);
}

TEST_F(Balanced, APeerWhoseDiskFailsTimeAndAgainGivesItUp) {
  bad_ = {kB};
  for (int i = 0; i < 150; ++i) {
    EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
    lab_.advance(milliseconds(110));
  }
  EXPECT_EQ(lab_.show(kB).disk, DiskState::diskless);
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kC}));
}

}  // namespace
}  // namespace lockstep
