#include "core/dirty/dirty_maps.h"

#include <gtest/gtest.h>

#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

constexpr uint64_t kBlocks = 40 * kBlocksPerExtent + 100;  // two pages, and an extent that is not whole

class DirtyMapsTest : public testing::Test {
 protected:
  DirtyMapsTest() { context_.out = &effects_; }
  static Context three_nodes() {
    Context context;
    context.config.self = kA;
    context.config.data_nodes = {kA, kB, kC};
    return context;
  }
  static std::array<BitVector, kMaxDataNodes> clean() {
    std::array<BitVector, kMaxDataNodes> loaded;
    loaded[kB.value] = BitVector(kBlocks);
    loaded[kC.value] = BitVector(kBlocks);
    return loaded;
  }
  std::vector<WriteBitmapPage> pump() {
    effects_.clear();
    maps_.pump();
    std::vector<WriteBitmapPage> writes;
    for (const Effect& effect : effects_) writes.push_back(std::get<WriteBitmapPage>(effect));
    return writes;
  }
  void write_all() {
    for (const auto& write : pump()) EXPECT_TRUE(maps_.done(write.token, true));
  }

  Context context_ = three_nodes();
  Effects effects_;
  DirtyMaps maps_{context_, clean(), kBlocks};
};

TEST_F(DirtyMapsTest, AMapThatWasNotFoundOrHasAnotherSizeIsAllDirty) {
  std::array<BitVector, kMaxDataNodes> loaded;
  loaded[kC.value] = BitVector(kBlocks - 1);
  const DirtyMaps maps(context_, std::move(loaded), kBlocks);
  EXPECT_EQ(maps.of(kB).count(), kBlocks);
  EXPECT_EQ(maps.of(kC).count(), kBlocks);
  EXPECT_EQ(maps.of(kA).size(), 0u) << "none for oneself";
}

TEST_F(DirtyMapsTest, MarksEveryBlockThatARangeTouches) {
  maps_.mark(kB, {kBlockBytes - 512, 1024});
  EXPECT_EQ(maps_.of(kB).count(), 2u);
  EXPECT_TRUE(maps_.of(kB).test(0) && maps_.of(kB).test(1));
  EXPECT_EQ(maps_.of(kC).count(), 0u);
  maps_.mark(kB, {});
  EXPECT_EQ(maps_.of(kB).count(), 2u);
}

TEST_F(DirtyMapsTest, ClearsOnlyBlocksThatLieInTheRangeAsAWhole) {
  maps_.mark_blocks(kB, 0, 4);
  maps_.clear(kB, {512, 3 * kBlockBytes});
  EXPECT_FALSE(maps_.of(kB).test(1) || maps_.of(kB).test(2));
  EXPECT_TRUE(maps_.of(kB).test(0) && maps_.of(kB).test(3));
  maps_.clear(kB, {512, 512});
  EXPECT_EQ(maps_.of(kB).count(), 2u);
}

TEST_F(DirtyMapsTest, TheLastBlockMayBeShort) {
  maps_.mark_all(kB);
  maps_.clear(kB, {(kBlocks - 1) * kBlockBytes, 512});
  EXPECT_EQ(maps_.of(kB).count(), kBlocks - 1);
  maps_.clear_all(kB);
  EXPECT_EQ(maps_.of(kB).count(), 0u);
}

TEST_F(DirtyMapsTest, BlocksBeyondTheEndAreIgnored) {
  maps_.mark_blocks(kB, kBlocks, 1);
  maps_.mark_blocks(kB, kBlocks - 1, 10);
  EXPECT_EQ(maps_.of(kB).count(), 1u);
}

TEST_F(DirtyMapsTest, MarksEveryBlockOfEverySetExtent) {
  BitVector extents(41);
  extents.set(0);
  extents.set(40);
  maps_.mark_extents(kB, extents);
  EXPECT_EQ(maps_.of(kB).count(), kBlocksPerExtent + 100);
}

TEST_F(DirtyMapsTest, AnExtentIsDurableWhenItsPagesAreWritten) {
  EXPECT_TRUE(maps_.idle());
  maps_.mark_blocks(kB, 0, 1);
  EXPECT_FALSE(maps_.durable(kB, 0));
  EXPECT_TRUE(maps_.durable(kC, 0));
  EXPECT_TRUE(maps_.durable(kB, 40));  // on another page
  const auto writes = pump();
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].peer, kB);
  EXPECT_EQ(writes[0].page, 0u);
  EXPECT_EQ((*writes[0].bits)[0], 1u);
  EXPECT_FALSE(maps_.durable(kB, 0));
  EXPECT_FALSE(maps_.idle());
  EXPECT_TRUE(maps_.done(writes[0].token, true));
  EXPECT_TRUE(maps_.durable(kB, 0));
  EXPECT_TRUE(maps_.idle());
  EXPECT_FALSE(maps_.done(writes[0].token, true));
}

TEST_F(DirtyMapsTest, APageThatChangesWhileItIsWrittenIsWrittenAgain) {
  maps_.mark_blocks(kB, 0, 1);
  const auto first = pump();
  maps_.mark_blocks(kB, 1, 1);
  EXPECT_TRUE(pump().empty());
  EXPECT_TRUE(maps_.done(first.at(0).token, true));
  EXPECT_FALSE(maps_.durable(kB, 0));
  const auto second = pump();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ((*second[0].bits)[0], 3u);
  EXPECT_TRUE(maps_.done(second[0].token, true));
  EXPECT_TRUE(maps_.durable(kB, 0));
}

TEST_F(DirtyMapsTest, AnExtentIsDurableThoughAnotherOneOfItsPageChangesAllTheTime) {
  maps_.mark_blocks(kB, 0, 1);
  write_all();
  maps_.mark_blocks(kB, kBlocksPerExtent, 1);
  EXPECT_TRUE(maps_.durable(kB, 0));
  EXPECT_FALSE(maps_.durable(kB, 1));
  const auto second = pump();
  maps_.mark_blocks(kB, 2 * kBlocksPerExtent, 1);
  EXPECT_TRUE(maps_.durable(kB, 0));
  EXPECT_FALSE(maps_.durable(kB, 1));
  EXPECT_TRUE(maps_.done(second.at(0).token, true));
  EXPECT_TRUE(maps_.durable(kB, 0));
  EXPECT_TRUE(maps_.durable(kB, 1));
  EXPECT_FALSE(maps_.durable(kB, 2));
}

TEST_F(DirtyMapsTest, WhatWasClearedAndMarkedAgainIsNotDurableByAnEarlierWrite) {
  maps_.mark_blocks(kB, 0, 1);
  write_all();
  maps_.clear(kB, {0, kBlockBytes});
  EXPECT_TRUE(maps_.durable(kB, 0)) << "nothing is marked";
  const auto without = pump();
  maps_.mark_blocks(kB, 0, 1);
  EXPECT_FALSE(maps_.durable(kB, 0));
  EXPECT_TRUE(maps_.done(without.at(0).token, true));
  EXPECT_FALSE(maps_.durable(kB, 0));
  write_all();
  EXPECT_TRUE(maps_.durable(kB, 0));
}

TEST_F(DirtyMapsTest, AnExtentOnTwoPagesNeedsBoth) {
  constexpr uint64_t extent = kBitsPerPage / kBlocksPerExtent;
  static_assert(kBitsPerPage % kBlocksPerExtent != 0);
  maps_.mark_blocks(kB, kBitsPerPage - 1, 2);
  const auto both = pump();
  ASSERT_EQ(both.size(), 2u);
  EXPECT_TRUE(maps_.done(both[0].token, true));
  EXPECT_FALSE(maps_.durable(kB, extent));
  EXPECT_TRUE(maps_.done(both[1].token, true));
  EXPECT_TRUE(maps_.durable(kB, extent));
  maps_.mark_blocks(kB, kBitsPerPage - 1 - kBlocksPerExtent, 1);  // the first of the two pages, for the extent before
  EXPECT_FALSE(maps_.durable(kB, extent - 1));
  EXPECT_TRUE(maps_.durable(kB, extent));
  EXPECT_FALSE(maps_.durable(kB, Range{0, kBlocks * kBlockBytes}));
  EXPECT_TRUE(maps_.durable(kB, Range{extent * kExtentBytes, 10 * kExtentBytes}));
}

TEST_F(DirtyMapsTest, OfANodeThatIsAddedNothingIsDurableYet) {
  maps_.mark_blocks(kB, 0, 1);
  write_all();
  maps_.remove(kB);
  EXPECT_TRUE(maps_.durable(kB, 0)) << "there is no map";
  maps_.add(kB);
  EXPECT_FALSE(maps_.durable(kB, 0));
  write_all();
  EXPECT_TRUE(maps_.durable(kB, 0));
}

TEST_F(DirtyMapsTest, WhatIsMarkedAlreadyWritesNothing) {
  maps_.mark_blocks(kB, 0, 10);
  write_all();
  maps_.mark_blocks(kB, 3, 2);
  EXPECT_TRUE(pump().empty());
  maps_.clear(kB, {0, kBlockBytes});
  EXPECT_EQ(pump().size(), 1u);
}

TEST_F(DirtyMapsTest, ARangeOverTwoPagesWritesBoth) {
  maps_.mark_blocks(kC, kBitsPerPage - 1, 2);
  EXPECT_EQ(pump().size(), 2u);
}

TEST_F(DirtyMapsTest, NothingIsWrittenOnceAWriteFailed) {
  maps_.mark_blocks(kB, 0, 1);
  EXPECT_TRUE(maps_.done(pump().at(0).token, false));
  maps_.mark_blocks(kC, 0, 1);
  EXPECT_TRUE(pump().empty());
  EXPECT_FALSE(maps_.durable(kC, 0));
}

TEST_F(DirtyMapsTest, NothingIsWrittenOnceStopped) {
  maps_.stop();
  maps_.mark_blocks(kB, 0, 1);
  EXPECT_TRUE(pump().empty());
}

}  // namespace
}  // namespace lockstep
