#include "core/resync/order.h"

#include <gtest/gtest.h>

#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

constexpr uint64_t kBlocks = 10 * kBlocksPerExtent + 7;

class ResyncOrderTest : public testing::Test {
 protected:
  ResyncOrderTest() { context_.out = &effects_; }
  static Context pair() {
    Context context;
    context.config.self = kA;
    context.config.data_nodes = {kA, kB};
    return context;
  }
  static std::array<BitVector, kMaxDataNodes> loaded() {
    std::array<BitVector, kMaxDataNodes> found;
    found[kB.value] = BitVector(kBlocks);
    found[kB.value].set(4 * kBlocksPerExtent);
    return found;
  }
  void mark(uint64_t block) {
    context_.now = context_.now + seconds(1);
    maps_.mark(kB, {block * kBlockBytes, kBlockBytes});
  }
  // A block at a time.
  std::vector<uint64_t> pass(bool by_age) {
    order_.begin_pass(maps_, kB, by_age);
    std::vector<uint64_t> seen;
    for (uint64_t block = order_.next(maps_.of(kB)); block < kBlocks; block = order_.next(maps_.of(kB))) {
      seen.push_back(block);
      order_.pass(block + 1);
    }
    EXPECT_TRUE(order_.over());
    return seen;
  }

  Context context_ = pair();
  Effects effects_;
  DirtyMaps maps_{context_, loaded(), kBlocks};
  ResyncOrder order_;
};

TEST_F(ResyncOrderTest, GoesByAddressOrByAge) {
  const uint64_t old = 4 * kBlocksPerExtent;
  const uint64_t last = kBlocks - 1;
  const uint64_t end_of_second = 2 * kBlocksPerExtent - 1;
  for (uint64_t block : {last, end_of_second, uint64_t{0}}) mark(block);
  EXPECT_EQ(pass(false), (std::vector<uint64_t>{0, end_of_second, old, last}));
  EXPECT_EQ(pass(true), (std::vector<uint64_t>{old, last, end_of_second, 0})) << "what was dirty at the start is the oldest";
  mark(1);
  EXPECT_EQ(pass(true), (std::vector<uint64_t>{old, last, end_of_second, 0, 1}));
  mark(last - 1);
  EXPECT_EQ(pass(true), (std::vector<uint64_t>{old, end_of_second, 0, 1, last - 1, last}))
      << "an extent is as old as its last write";
  mark(0);
  EXPECT_EQ(pass(true), (std::vector<uint64_t>{old, end_of_second, last - 1, last, 0, 1}))
      << "also to a block that was dirty already";
  maps_.mark_blocks(kB, last - 2, 1);
  EXPECT_EQ(pass(true).front(), old) << "what a peer says that it lacks has no time";
}

TEST_F(ResyncOrderTest, WhatIsClearedOnTheWayIsPassedBy) {
  for (uint64_t extent : {8, 6, 2}) mark(extent * kBlocksPerExtent);
  order_.begin_pass(maps_, kB, true);
  EXPECT_EQ(order_.next(maps_.of(kB)), 4 * kBlocksPerExtent);
  order_.pass(4 * kBlocksPerExtent + 1);
  EXPECT_FALSE(order_.over());
  maps_.clear(kB, {8 * kExtentBytes, kExtentBytes});
  EXPECT_EQ(order_.next(maps_.of(kB)), 6 * kBlocksPerExtent);
  order_.pass(7 * kBlocksPerExtent);
  maps_.clear_all(kB);
  EXPECT_EQ(order_.next(maps_.of(kB)), kBlocks);
  EXPECT_TRUE(order_.over());
}

TEST_F(ResyncOrderTest, SaysWhatComesSoon) {
  for (uint64_t extent : {8, 6, 2}) mark(extent * kBlocksPerExtent);
  order_.begin_pass(maps_, kB, true);  // 4, 8, 6, 2
  EXPECT_TRUE(order_.soon(0, 8, 1));
  EXPECT_FALSE(order_.soon(0, 6, 1));
  EXPECT_TRUE(order_.soon(0, 6, 2));
  EXPECT_FALSE(order_.soon(3, 8, 10));
  order_.begin_pass(maps_, kB, false);
  EXPECT_TRUE(order_.soon(0, 9, 1)) << "by address: whatever lies behind";
}

TEST_F(ResyncOrderTest, NothingDirtyIsOverAtOnce) {
  maps_.clear_all(kB);
  EXPECT_TRUE(pass(true).empty());
  EXPECT_TRUE(pass(false).empty());
}

}  // namespace
}  // namespace lockstep
