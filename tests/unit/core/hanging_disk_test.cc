// A disk that does not answer any more: disk-timeout.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class HangingDisk : public testing::Test {
 protected:
  HangingDisk() : lab_({.configure = [](CoreConfig& config) { config.disk_timeout = seconds(3); }}) {}
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
  }
  void hang(Seat seat) {
    lab_.node(seat).hold_disk = [](const DiskIo&) { return true; };
  }
  Lab lab_;
};

TEST_F(HangingDisk, OfThePrimaryIsGivenUpAndItServesOnFromItsPeer) {
  lab_.advance(seconds(5));
  hang(kA);
  const ClientIo write = lab_.write(kA);
  const ClientIo read = lab_.read(kA, {1 << 20, 4096});
  lab_.advance(milliseconds(2900));
  EXPECT_FALSE(lab_.answer(kA, write));
  lab_.advance(seconds(3));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.answer(kA, read), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kB});
  EXPECT_EQ(lab_.show(kA).disk, DiskState::failed);
  EXPECT_TRUE(lab_.node(kA).noted(Notice::disk_hangs));
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.show(kA).disk, DiskState::diskless);
}

TEST_F(HangingDisk, OfTheSecondaryIsGivenUpAndDoesNotHurtThePrimary) {
  hang(kB);
  const ClientIo write = lab_.write(kA);
  lab_.advance(seconds(6));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});
  EXPECT_EQ(lab_.show(kA).peers[0].disk, DiskState::diskless);
  EXPECT_TRUE(lab_.show(kA).peers[0].connected);
}

// There would be nothing to serve on from.
TEST_F(HangingDisk, OfTheLastCopyIsWaitedFor) {
  lab_.cut(kA, kB);
  lab_.advance(seconds(1));
  hang(kA);
  const ClientIo write = lab_.write(kA);
  lab_.advance(seconds(60));
  EXPECT_FALSE(lab_.answer(kA, write));
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab_.show(kA).disk, DiskState::up_to_date);
}

TEST_F(HangingDisk, UnderTheMetadataIsAFailureOfTheMetadata) {
  lab_.node(kB).hold_meta = true;
  const ClientIo write = lab_.write(kA);  // its intent bit is not durable there
  lab_.advance(seconds(6));
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
  EXPECT_TRUE(lab_.node(kB).noted(Notice::disk_hangs));
  lab_.node(kB).hold_meta = false;
  lab_.run();
  EXPECT_EQ(lab_.show(kB).disk, DiskState::diskless);
  EXPECT_FALSE(lab_.show(kB).voters[1].answers) << "it votes no more";
}

// Nothing more is written to such a disk: it could block whoever does.
TEST_F(HangingDisk, WithTheMetadataOnItTakesTheVoteAlong) {
  Lab lab({.configure = [](CoreConfig& config) {
    config.disk_timeout = seconds(3);
    config.metadata_on_disk = true;
  }});
  lab.create();
  lab.promote(kA);
  lab.advance(seconds(5));
  lab.node(kA).hold_disk = [](const DiskIo&) { return true; };
  const ClientIo read = lab.read(kA);
  lab.advance(seconds(6));
  EXPECT_EQ(lab.answer(kA, read), IoStatus::ok);
  EXPECT_TRUE(lab.node(kA).noted(Notice::metadata_failed));
  EXPECT_FALSE(lab.show(kA).voters[0].answers);
  EXPECT_TRUE(lab.show(kA).quorum) << "the others are a majority";
}

TEST_F(HangingDisk, ADaemonThatSleptDoesNotBlameItsDisk) {
  hang(kA);
  const ClientIo write = lab_.write(kA);
  lab_.now = lab_.now + seconds(60);  // nothing ran meanwhile
  lab_.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  lab_.advance(seconds(2));
  EXPECT_FALSE(lab_.node(kA).noted(Notice::disk_hangs));
  static_cast<void>(write);
}

}  // namespace
}  // namespace lockstep
