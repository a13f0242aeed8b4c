// What is in doubt about a copy that was lost: blocks, where the Primary that wrote them is still there to say which; else whole extents.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class Doubt : public testing::Test {
 protected:
  explicit Doubt(std::function<void(CoreConfig&)> configure = [](CoreConfig&) {}) : lab_({.configure = std::move(configure)}) {}
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
    lab_.advance(seconds(5));
  }
  static Range block(uint64_t extent) { return {extent * kExtentBytes, kBlockBytes}; }
  void write(uint64_t extent) {
    const ClientIo io = lab_.write(kA, block(extent));
    ASSERT_EQ(lab_.answer(kA, io), IoStatus::ok);
  }
  uint64_t marked(Seat on, Seat against) { return lab_.show(on).dirty_blocks[against.value]; }
  // Blocks that the resync of B had to copy, once it has joined again.
  uint64_t copied(Seat source = kA) {
    lab_.advance(seconds(8));
    EXPECT_EQ(lab_.node(source).tenure().members, (SeatSet{kA, kB}));
    uint64_t blocks = UINT64_MAX;
    for (const Note& note : lab_.node(source).notes) blocks = note.notice == Notice::resync_finished ? note.a : blocks;
    return blocks;
  }
  Lab lab_;
};

TEST_F(Doubt, ALostPeerMayLackWhatWasNotFlushed) {
  write(0);
  write(1);
  lab_.cut(kA, kB);
  EXPECT_EQ(marked(kA, kB), 2U);
  lab_.connect(kA, kB);
  EXPECT_EQ(copied(), 2U);
}

TEST_F(Doubt, WhatIsSettledIsInDoubtNoMore) {
  write(0);
  lab_.advance(seconds(2));
  ASSERT_GT(lab_.show(kA).hot_extents, 0U);
  write(1);
  lab_.cut(kA, kB);
  EXPECT_EQ(marked(kA, kB), 1U);
}

TEST_F(Doubt, WhatIsInFlightIsInDoubt) {
  lab_.hold_mail = [](const Lab::Mail& mail) { return std::holds_alternative<WriteRequest>(mail.send.message); };
  lab_.write(kA, block(1));
  lab_.cut(kA, kB);
  EXPECT_EQ(marked(kA, kB), 1U);
}

TEST_F(Doubt, APeerThatCrashedIsGivenWhatItMayLackAndNoMore) {
  write(0);
  write(1);
  lab_.kill(kB);
  write(2);
  lab_.start(kB);
  EXPECT_EQ(marked(kB, kA), 2 * kBlocksPerExtent);  // nobody has told it more yet
  lab_.connect(kA, kB);
  EXPECT_EQ(copied(), 3U);
}

TEST_F(Doubt, ANewPrimaryCannotKnowWhatTheOneBeforeWroteElsewhere) {
  lab_.hold_mail = [](const Lab::Mail& mail) { return std::holds_alternative<WriteRequest>(mail.send.message); };
  lab_.write(kA, block(1));  // B never sees it
  lab_.kill(kA);
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.advance(seconds(5));
  lab_.promote(kB);
  ASSERT_EQ(lab_.node(kB).tenure().members, SeatSet{kB});
  lab_.start(kA);
  lab_.connect(kA, kB);
  EXPECT_EQ(copied(kB), kBlocksPerExtent);
}

TEST_F(Doubt, APrimaryThatStartedAnewKnowsNoBlocks) {
  write(1);
  lab_.kill(kB);
  write(2);
  lab_.kill(kA);
  lab_.start(kA);
  lab_.connect(kA, witness_seat(0));
  lab_.advance(seconds(5));
  lab_.promote(kA);
  lab_.start(kB);
  lab_.connect(kA, kB);
  EXPECT_GE(copied(), 2 * kBlocksPerExtent);
}

TEST_F(Doubt, NothingThatWasWrittenBeforeACleanHandOverIsInDoubt) {
  for (uint64_t extent = 0; extent < 3; ++extent) write(extent);
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  lab_.promote(kB);
  ASSERT_EQ(lab_.answer(kB, lab_.write(kB, block(5))), IoStatus::ok);
  lab_.cut(kA, kB);
  EXPECT_EQ(marked(kB, kA), 1U);
}

class DoubtAboutMany : public Doubt {
 protected:
  DoubtAboutMany() : Doubt([](CoreConfig& config) { config.recent_writes = 2; }) {}
};

TEST_F(DoubtAboutMany, WithMoreThanIsRememberedExtentsAreInDoubt) {
  write(0);
  write(1);
  lab_.cut(kA, kB);
  EXPECT_EQ(marked(kA, kB), 2U);
  lab_.connect(kA, kB);
  EXPECT_EQ(copied(), 2U);
  for (uint64_t extent = 0; extent < 3; ++extent) write(extent);
  lab_.cut(kA, kB);
  EXPECT_EQ(marked(kA, kB), 3 * kBlocksPerExtent);
}

TEST_F(DoubtAboutMany, SoItIsForWhoTakesOver) {
  for (uint64_t extent = 0; extent < 3; ++extent) write(extent);
  lab_.kill(kA);
  lab_.advance(seconds(5));
  lab_.promote(kB);
  EXPECT_EQ(marked(kB, kA), 3 * kBlocksPerExtent);
}

}  // namespace
}  // namespace lockstep
