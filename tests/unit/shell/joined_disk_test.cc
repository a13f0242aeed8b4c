// Volumes on disks of their own as one device: where each request goes, and when it ends.
#include "shell/resource/joined_disk.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "core/durable.h"
#include "core/volumes.h"

namespace lockstep {
namespace {

constexpr uint64_t kBlock = kBlockBytes;
constexpr uint64_t kExtent = kExtentBytes;

struct Asked {
  BlockOp op;
  uint64_t offset;
  uint64_t length;
  std::byte* data;
  bool fua;
  BlockDone done;
};

class ParkedDevice : public BlockDevice {
 public:
  ParkedDevice(std::vector<Asked>& asked, const std::string& path, uint32_t block) : asked_(asked) {
    info_.path = path;
    info_.block_bytes = block;
    info_.direct = true;
  }
  const OpenedDevice& info() const override { return info_; }
  size_t outstanding() const override { return 0; }
  void submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool fua, BlockDone done) override {
    asked_.push_back({op, offset, length, data, fua, std::move(done)});
  }

 private:
  std::vector<Asked>& asked_;
  OpenedDevice info_;
};

class JoinedDiskTest : public testing::Test {
 protected:
  JoinedDiskTest() {
    std::vector<std::unique_ptr<BlockDevice>> disks;
    for (size_t i = 0; i < 3; ++i)
      disks.push_back(std::make_unique<ParkedDevice>(asked[i], "disk" + std::to_string(i), i == 1 ? 4096 : 512));
    for (const uint16_t number : {uint16_t{0}, uint16_t{1}, uint16_t{2}}) room.push_back({number, 3 * kExtent});
    joined = std::make_unique<JoinedDisk>(*loop, std::move(disks), room);
    volumes.push_back({0, kExtent + 2 * kBlock});  // to 2 extents
    volumes.push_back({1, kExtent});               // follows at 2, ends with its extent
    volumes.push_back({2, 5 * kBlock});            // at 3
  }
  void submit(BlockOp op, const Range& range, bool fua = false) {
    ended.reset();
    joined->submit(op, range.offset, range.length, op == BlockOp::read || op == BlockOp::write ? memory.data() : nullptr, fua,
                   [this](int error) { ended = error; });
    EXPECT_FALSE(ended) << "from inside the call";
  }
  void answer(size_t disk, int error = 0) {
    ASSERT_FALSE(asked[disk].empty());
    const Asked first = std::move(asked[disk].front());
    asked[disk].erase(asked[disk].begin());
    first.done(error);
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create(IoEngine::automatic).value();
  std::vector<Asked> asked[3];
  std::unique_ptr<JoinedDisk> joined;
  VolumeShapes room;  // every disk has more than its volume
  VolumeShapes volumes;
  std::vector<std::byte> memory = std::vector<std::byte>(8 * kExtent, std::byte{0xee});
  std::optional<int> ended;
};

TEST_F(JoinedDiskTest, IsAsFineAsItsCoarsestDisk) {
  EXPECT_EQ(joined->info().block_bytes, 4096u);
  joined->lay_out(volumes);
  EXPECT_EQ(joined->info().size_bytes, 3 * kExtent + 5 * kBlock);
}

TEST_F(JoinedDiskTest, ARequestGoesToTheDiskOfItsVolume) {
  joined->lay_out(volumes);
  submit(BlockOp::write, {2 * kExtent + kBlock, kBlock}, true);
  ASSERT_EQ(asked[1].size(), 1u);
  EXPECT_EQ(asked[0].size() + asked[2].size(), 0u);
  EXPECT_EQ(asked[1][0].op, BlockOp::write);
  EXPECT_EQ(asked[1][0].offset, kBlock);
  EXPECT_EQ(asked[1][0].length, kBlock);
  EXPECT_EQ(asked[1][0].data, memory.data());
  EXPECT_TRUE(asked[1][0].fua);
  EXPECT_EQ(joined->outstanding(), 1u);
  answer(1);
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(joined->outstanding(), 0u);
}

TEST_F(JoinedDiskTest, OneAcrossVolumesIsDividedAndWhatLiesBetweenReadsAsZeroes) {
  joined->lay_out(volumes);
  submit(BlockOp::read, {kExtent, 2 * kExtent + 3 * kBlock});
  ASSERT_EQ(asked[0].size(), 1u);
  ASSERT_EQ(asked[1].size(), 1u);
  ASSERT_EQ(asked[2].size(), 1u);
  EXPECT_EQ(asked[0][0].length, 2 * kBlock);
  EXPECT_EQ(asked[1][0].offset, 0u);
  EXPECT_EQ(asked[1][0].length, kExtent);
  EXPECT_EQ(asked[1][0].data, memory.data() + kExtent);
  EXPECT_EQ(asked[2][0].length, 3 * kBlock);
  EXPECT_EQ(asked[2][0].data, memory.data() + 2 * kExtent);
  EXPECT_EQ(memory[2 * kBlock - 1], std::byte{0xee});
  for (uint64_t i = 2 * kBlock; i < kExtent; ++i) ASSERT_EQ(memory[i], std::byte{0}) << i;
  EXPECT_EQ(memory[kExtent], std::byte{0xee});
  answer(1);
  answer(2);
  EXPECT_FALSE(ended) << "a piece is under way";
  answer(0);
  EXPECT_EQ(ended, 0);
}

TEST_F(JoinedDiskTest, WhatIsWrittenBetweenVolumesGoesNowhere) {
  joined->lay_out(volumes);
  submit(BlockOp::write_zeroes, {kExtent + 2 * kBlock, 4 * kBlock});
  EXPECT_EQ(asked[0].size() + asked[1].size() + asked[2].size(), 0u);
  EXPECT_EQ(joined->outstanding(), 1u);
  loop->run_once(milliseconds(0));
  EXPECT_EQ(ended, 0);
}

TEST_F(JoinedDiskTest, AFlushIsOneOfEveryDisk) {
  submit(BlockOp::flush, {});
  answer(0);
  answer(2);
  EXPECT_FALSE(ended);
  answer(1, EIO);
  EXPECT_EQ(ended, EIO);
  EXPECT_EQ(joined->culprit(), "disk1");
}

TEST_F(JoinedDiskTest, TheFirstErrorCounts) {
  joined->lay_out(volumes);
  submit(BlockOp::trim, {0, 3 * kExtent});
  answer(0, ENOSPC);
  answer(1, EIO);
  EXPECT_EQ(ended, ENOSPC);
}

TEST_F(JoinedDiskTest, WithoutALayoutOrBehindTheEndNothingIsTouched) {
  for (int i = 0; i < 2; ++i) {
    submit(BlockOp::write, i == 0 ? Range{0, kBlock} : Range{3 * kExtent, 6 * kBlock});
    loop->run_once(milliseconds(0));
    EXPECT_EQ(ended, EIO);
    EXPECT_EQ(asked[0].size() + asked[2].size(), 0u);
    joined->lay_out(volumes);
  }
}

TEST_F(JoinedDiskTest, VolumesThatTheDisksHaveNotAreNotWrittenAnywhere) {
  joined->lay_out(volumes);
  VolumeShapes others = volumes;
  others[1].number = 7;
  VolumeShapes larger = volumes;
  larger[2].size_bytes = 3 * kExtent + kBlock;
  VolumeShapes more = volumes;
  more.push_back({9, kExtent});
  for (const VolumeShapes& wrong : {others, larger, more}) {
    joined->lay_out(wrong);
    submit(BlockOp::write, {0, kBlock});
    loop->run_once(milliseconds(0));
    EXPECT_EQ(ended, EIO);
    EXPECT_EQ(asked[0].size(), 0u);
  }
}

}  // namespace
}  // namespace lockstep
