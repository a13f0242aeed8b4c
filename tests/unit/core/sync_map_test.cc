// What clients are told about which copies have what.
#include "core/sync_map.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

constexpr uint64_t kLabBlocks = kLabBytes / kBlockBytes;

using Flags = std::vector<std::pair<uint64_t, uint32_t>>;

Flags runs(Lab& lab, Seat seat, uint64_t first = 0, uint64_t count = kLabBlocks, size_t most = 1000) {
  Flags all;
  for (const SyncRun& run : lab.node(seat).replica->sync_runs(first, count, most)) all.emplace_back(run.blocks, run.flags);
  return all;
}

Range blocks(uint64_t first, uint64_t count) { return {first * kBlockBytes, count * kBlockBytes}; }

void lose(Lab& lab, Seat seat) {
  for (Seat other : {kA, kB, kC}) {
    const Seat low = std::min(seat, other);
    const Seat high = std::max(seat, other);
    if (low != high && lab.linked(low, high)) lab.cut(low, high);
  }
  lab.advance(seconds(2));
}

TEST(SyncMap, NothingIsOutWhereAllCopiesAreEqual) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA, blocks(3, 4));
  lab.run();
  EXPECT_EQ(runs(lab, kA), (Flags{{kLabBlocks, 0}}));
  EXPECT_EQ(runs(lab, kA, 5, 0), Flags{});
}

TEST(SyncMap, WhatTheOnlyPeerLacksIsHereOnly) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lose(lab, kB);
  lab.write(kA, blocks(3, 4));
  lab.write(kA, {100 * kBlockBytes + 512, 512});
  lab.run();
  const uint32_t here = kSyncOut | kSyncLocalOnly;
  EXPECT_EQ(runs(lab, kA), (Flags{{3, 0}, {4, here}, {93, 0}, {1, here}, {kLabBlocks - 101, 0}}));
  EXPECT_EQ(runs(lab, kA, 5, 10), (Flags{{2, here}, {8, 0}}));
  EXPECT_EQ(runs(lab, kA, 0, kLabBlocks, 2), (Flags{{3, 0}, {4, here}}));
}

TEST(SyncMap, WhatOneOfTwoPeersHasIsOutButNotHereOnly) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lose(lab, kC);
  lab.write(kA, blocks(0, 2));
  lab.run();
  EXPECT_EQ(runs(lab, kA), (Flags{{2, kSyncOut}, {kLabBlocks - 2, 0}}));
}

TEST(SyncMap, AResyncIsToldWhileItRuns) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lose(lab, kB);
  lab.write(kA, blocks(3, 4));
  lab.run();
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::read; };
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  ASSERT_EQ(lab.show(kA).peers.at(0).replication, ReplicationState::sync_source);
  EXPECT_EQ(runs(lab, kA)[1], (std::pair<uint64_t, uint32_t>{4, kSyncOut | kSyncUnderWay | kSyncLocalOnly}));
  lab.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab.run();
  lab.advance(seconds(5));
  EXPECT_EQ(runs(lab, kA), (Flags{{kLabBlocks, 0}}));
}

TEST(SyncMap, APeerWithoutADiskHasNothing) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kB).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab.write(kA, blocks(0, 1));
  lab.run();
  lab.advance(seconds(1));
  ASSERT_EQ(lab.show(kA).peers.at(0).disk, DiskState::diskless);
  EXPECT_EQ(runs(lab, kA), (Flags{{kLabBlocks, kSyncOut | kSyncLocalOnly}}));
}

TEST(SyncMap, WithoutADiskEverythingIsOut) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab.write(kA, blocks(0, 1));
  lab.run();
  lab.advance(seconds(1));
  ASSERT_EQ(lab.show(kA).disk, DiskState::diskless);
  EXPECT_EQ(runs(lab, kA, 7, 100), (Flags{{100, kSyncOut}}));
}

}  // namespace
}  // namespace lockstep
