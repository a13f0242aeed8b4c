#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool is_write(const DiskIo& io) { return io.kind == OpKind::write; }
bool none(const DiskIo&) { return false; }

class LegsTest : public testing::Test {
 protected:
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
  }
  Lab lab_;
};

TEST_F(LegsTest, AWriteWaitsForBothLegs) {
  for (Seat slow : {kA, kB}) {
    lab_.node(slow).hold_disk = is_write;
    const ClientIo io = lab_.write(kA);
    EXPECT_FALSE(lab_.answer(kA, io));
    lab_.node(slow).hold_disk = none;
    lab_.run();
    EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  }
}

TEST_F(LegsTest, EachCopyWritesDataOnlyOnceItsIntentIsDurable) {
  for (Seat slow : {kA, kB}) {
    const Range fresh{(slow.value + 1) * kExtentBytes, 4096};
    lab_.node(slow).hold_meta = true;
    const ClientIo io = lab_.write(kA, fresh);
    EXPECT_TRUE(lab_.node(slow).disk.empty());
    EXPECT_FALSE(lab_.answer(kA, io));
    lab_.node(slow).hold_meta = false;
    lab_.run();
    EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
    EXPECT_TRUE(lab_.node(slow).intent.test(slow.value + 1U));
  }
}

TEST_F(LegsTest, NoAcknowledgementBeforeTheTenureWithoutTheLostPeerIsDecided) {
  lab_.node(kB).hold_disk = is_write;
  const ClientIo io = lab_.write(kA);
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accept>(letter.send.message); };
  lab_.cut(kA, kB);
  EXPECT_FALSE(lab_.answer(kA, io));
  EXPECT_EQ(lab_.show(kA).reason, Reason::peer_loss_undecided);
  EXPECT_TRUE(lab_.show(kA).suspended);
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab_.witness().record().tenure->members, SeatSet{kA});
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});
  EXPECT_GT(lab_.show(kA).dirty_blocks[kB.value], 0u);
}

TEST_F(LegsTest, AnAcknowledgementOfALegThatWasLostDoesNotCount) {
  lab_.node(kB).hold_disk = is_write;
  const ClientIo io = lab_.write(kA);
  OpId op;
  for (const Lab::Mail& letter : lab_.delivered) {
    if (const auto* write = std::get_if<WriteRequest>(&letter.send.message)) op = write->op;
  }
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Prepare>(letter.send.message); };
  lab_.cut(kA, kB);
  lab_.connect(kA, kB);
  lab_.run();
  lab_.inject(kB, kA, WriteReply{stamp_of(lab_.node(kA).tenure()), op, IoStatus::ok});
  EXPECT_FALSE(lab_.answer(kA, io));
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
}

TEST_F(LegsTest, AWriteThatComesWhileALossIsUndecidedWaitsForTheTenureToo) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accept>(letter.send.message); };
  lab_.cut(kA, kB);
  const ClientIo write = lab_.write(kA);
  const ClientIo flush = lab_.request(kA, OpKind::flush, {});
  EXPECT_FALSE(lab_.answer(kA, write));
  EXPECT_FALSE(lab_.answer(kA, flush));
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, flush), IoStatus::ok);
}

TEST_F(LegsTest, APeerWhoseDiskRefusesLeavesTheSetFirst) {
  lab_.node(kB).disk_status = [](const DiskIo& io) { return is_write(io) ? IoStatus::io_error : IoStatus::ok; };
  const ClientIo io = lab_.write(kA);
  lab_.advance(seconds(1));
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});
  EXPECT_EQ(lab_.show(kA).peers.at(0).disk, DiskState::diskless);
  EXPECT_EQ(lab_.show(kB).disk, DiskState::diskless);
}

TEST_F(LegsTest, AnErrorOfThePrimarysDiskDetachesItAndThePeerServesOn) {
  lab_.node(kA).disk_status = [](const DiskIo& io) { return is_write(io) ? IoStatus::io_error : IoStatus::ok; };
  const ClientIo io = lab_.write(kA);
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
  EXPECT_EQ(lab_.show(kA).disk, DiskState::diskless);
  EXPECT_TRUE(lab_.node(kA).primary);
  const size_t local = lab_.node(kA).disk.size();
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA, {8 * kExtentBytes, 4096})), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.read(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, lab_.request(kA, OpKind::flush, {})), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).disk.size(), local);
}

// The Primary goes on with B's copy, until that fails too: nobody is missing, and no vote.
TEST_F(LegsTest, AnErrorOfTheOtherCopyTooIsSaidToBeThat) {
  const auto fails = [](const DiskIo& io) { return is_write(io) ? IoStatus::io_error : IoStatus::ok; };
  lab_.node(kA).disk_status = fails;
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).reason, Reason::none);
  lab_.node(kB).disk_status = fails;
  const ClientIo io = lab_.write(kA);
  lab_.advance(seconds(5));
  EXPECT_FALSE(lab_.answer(kA, io));
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
  EXPECT_EQ(lab_.show(kA).reason, Reason::last_copy_failed);
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  EXPECT_NE(lab_.show(kA).reason, Reason::last_copy_failed) << "nobody knows how its disk is by now";
}

TEST_F(LegsTest, AnErrorOnTheLastCopyFreezesInsteadOfGivingItUp) {
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  lab_.node(kA).disk_status = [](const DiskIo& io) { return is_write(io) ? IoStatus::io_error : IoStatus::ok; };
  const ClientIo io = lab_.write(kA);
  lab_.advance(seconds(5));
  EXPECT_FALSE(lab_.answer(kA, io));
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});
  EXPECT_EQ(lab_.show(kA).reason, Reason::last_copy_failed);
  EXPECT_FALSE(lab_.answer(kA, lab_.read(kA))) << "no copy to read from";
}

TEST_F(LegsTest, AFailureOfTheMetadataIsOneOfTheDisk) {
  lab_.node(kA).hold_meta = true;
  const ClientIo io = lab_.write(kA, {4 * kExtentBytes, 4096});
  lab_.node(kA).meta_ok = false;
  lab_.node(kA).hold_meta = false;
  lab_.advance(seconds(1));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::metadata_failed));
  EXPECT_EQ(lab_.show(kA).disk, DiskState::diskless);
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
  EXPECT_FALSE(lab_.show(kA).voters.at(0).answers) << "its acceptor refuses for good";
}

// Such a Primary has no intent map that would say so in its place.
TEST(Legs, WhatAPrimaryWithoutADiskSentToAPeerThatWasLostIsMarked) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.node(kA).disk_status = [](const DiskIo& io) { return is_write(io) ? IoStatus::io_error : IoStatus::ok; };
  lab.write(kA);
  lab.advance(milliseconds(100));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kB, kC}));
  lab.node(kC).hold_disk = is_write;
  const ClientIo io = lab.write(kA, {8 * kExtentBytes, 4096});
  EXPECT_FALSE(lab.answer(kA, io));
  lab.cut(kA, kC);
  lab.advance(milliseconds(100));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
  ASSERT_EQ(lab.node(kA).tenure().members, SeatSet{kB});
  EXPECT_EQ(lab.show(kA).dirty_blocks[kC.value], kBlocksPerExtent + 1)
      << "the extent of the write that failed here, and this block";
}

TEST_F(LegsTest, APeerThatAcknowledgesNothingForTooLongIsDropped) {
  lab_.node(kB).hold_disk = is_write;
  const ClientIo io = lab_.write(kA);
  lab_.advance(seconds(5));
  EXPECT_TRUE(lab_.node(kA).closed.empty());
  lab_.advance(seconds(3));
  ASSERT_FALSE(lab_.node(kA).closed.empty());
  EXPECT_EQ(lab_.node(kA).closed[0].reason, Reason::acknowledgement_timeout);
  EXPECT_FALSE(lab_.node(kA).closed[0].stand_alone);
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
}

TEST_F(LegsTest, AnAcknowledgementThatNobodyWaitsForChangesNothing) {
  lab_.inject(kB, kA, WriteReply{stamp_of(lab_.node(kA).tenure()), OpId{12345}, IoStatus::ok});
  lab_.inject(kB, kA, FlushReply{stamp_of(lab_.node(kA).tenure()), OpId{12345}, IoStatus::io_error});
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
}

}  // namespace
}  // namespace lockstep
