#include "core/disk_table.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

class DiskTableTest : public testing::Test {
 protected:
  DiskTableTest() { context_.out = &effects_; }
  DiskIoId submit(OpKind kind) {
    table_.submit(kind, {0, 4096}, false, {}, [this](IoStatus status) { outcomes_.push_back(status); });
    return std::get<DiskIo>(effects_.back()).io;
  }

  Context context_;
  Effects effects_;
  DiskTable table_{context_};
  std::vector<IoStatus> outcomes_;
};

TEST_F(DiskTableTest, RunsWhatWaitsForEachOutcome) {
  const DiskIoId first = submit(OpKind::read);
  const DiskIoId second = submit(OpKind::write);
  EXPECT_EQ(table_.in_flight(), 2u);
  table_.done({second, IoStatus::io_error});
  table_.done({first, IoStatus::ok});
  EXPECT_EQ(outcomes_, (std::vector<IoStatus>{IoStatus::io_error, IoStatus::ok}));
  EXPECT_EQ(table_.in_flight(), 0u);
}

TEST_F(DiskTableTest, CountsChangesInFlightAndNothingElse) {
  std::vector<DiskIoId> all;
  for (OpKind kind : {OpKind::read, OpKind::write, OpKind::write_zeroes, OpKind::trim, OpKind::flush})
    all.push_back(submit(kind));
  EXPECT_EQ(table_.changes_in_flight(), 3u);
  for (DiskIoId io : all) table_.done({io, IoStatus::ok});
  EXPECT_EQ(table_.changes_in_flight(), 0u);
}

TEST_F(DiskTableTest, AnIdIsNeverUsedTwice) {
  const DiskIoId first = submit(OpKind::read);
  table_.done({first, IoStatus::ok});
  EXPECT_NE(submit(OpKind::read), first);
}

TEST_F(DiskTableTest, WhatFollowsMaySubmitAgain) {
  table_.submit(OpKind::read, {}, false, {}, [this](IoStatus) { submit(OpKind::write); });
  table_.done({std::get<DiskIo>(effects_.back()).io, IoStatus::ok});
  EXPECT_EQ(table_.changes_in_flight(), 1u);
}

TEST_F(DiskTableTest, AnOutcomeOfNothingInFlightIsABug) {
  const DiskIoId io = submit(OpKind::read);
  table_.done({io, IoStatus::ok});
  EXPECT_DEATH(table_.done({io, IoStatus::ok}), "io.value");
}

TEST_F(DiskTableTest, WhatHangsIsFailedOnceAndItsEndChangesNothing) {
  const DiskIoId first = submit(OpKind::write);
  EXPECT_FALSE(table_.hangs(0));
  context_.looks = 2;
  const DiskIoId second = submit(OpKind::read);
  EXPECT_TRUE(table_.hangs(1));
  EXPECT_FALSE(table_.hangs(2));
  table_.abandon();
  EXPECT_EQ(outcomes_, (std::vector<IoStatus>{IoStatus::io_error, IoStatus::io_error}));
  EXPECT_EQ(table_.changes_in_flight(), 0u);
  EXPECT_EQ(table_.in_flight(), 2u) << "its buffers are still the disk's";
  EXPECT_FALSE(table_.hangs(0));
  table_.done({first, IoStatus::ok});
  table_.done({second, IoStatus::ok});
  EXPECT_EQ(outcomes_.size(), 2u);
  EXPECT_EQ(table_.in_flight(), 0u);
}

}  // namespace
}  // namespace lockstep
