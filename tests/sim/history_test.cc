// The clients' histories (P1, P6, P7): an oracle that cannot object is worthless. Here it is shown wrong ones, and right ones.
#include <gtest/gtest.h>

#include "sim/oracle_samples.h"

namespace lockstep::sim {
namespace {

class HistoryTest : public testing::Test {
 protected:
  // An operation on block 7 from `begin` to `end` (0: never answered).
  uint64_t op(OpKind kind, int64_t begin, int64_t end, uint64_t saw = 0, bool fua = false) {
    ClientOp o;
    o.kind = kind;
    o.range = kind == OpKind::flush ? Range{} : block(7);
    o.fua = fua;
    o.invoked = Instant{begin};
    const uint64_t index = history_.invoke(o);
    if (end > 0) history_.answer(index, IoStatus::ok, kind == OpKind::read ? versions(saw) : nullptr, Instant{end});
    return History::version_of(index);
  }
  uint64_t write(int64_t begin, int64_t end) { return op(OpKind::write, begin, end); }
  void read(int64_t begin, int64_t end, uint64_t saw) { op(OpKind::read, begin, end, saw); }
  bool right() const { return history_.check().good(); }
  History history_;
};

TEST_F(HistoryTest, AcceptsWritesAndReadsInOrder) {
  read(1, 2, kFirstVersion);
  const uint64_t a = write(3, 4);
  read(5, 6, a);
  const uint64_t b = write(7, 8);
  read(9, 10, b);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsToALostAcknowledgedWrite) {
  const uint64_t a = write(1, 2);
  write(3, 4);
  read(5, 6, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, WhatWasWrittenBeforeAForceIsAsOnTheCopyThatWasChosen) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 4);
  history_.forced(Instant{5});
  history_.chose(std::vector<uint64_t>(kBlocks, a));
  read(6, 7, a);
  EXPECT_EQ(history_.check().wrong, "");
  read(8, 9, b);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, WithoutAChosenCopyAnythingFromBeforeAForceMayBeThere) {
  write(1, 2);
  const uint64_t b = write(3, 4);
  history_.forced(Instant{5});
  read(6, 7, b);
  EXPECT_EQ(history_.check().wrong, "");
}

// That copy may lack what the volume has grown by; whatever is found there is what it began with, in that history.
TEST_F(HistoryTest, ACopyThatIsChosenBringsItsOwnContentOfWhatTheVolumeHasGrownBy) {
  constexpr uint64_t kItsOwn = kGarbage + 1;
  history_.began_with(7, kFirstVersion, Instant{1});
  read(2, 3, kFirstVersion);
  history_.forced(Instant{5});
  history_.chose(std::vector<uint64_t>(kBlocks, kItsOwn), 7);
  read(6, 7, kItsOwn);
  EXPECT_EQ(history_.check().wrong, "");
  read(8, 9, kFirstVersion);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, WhatAVolumeGrowsByAfterAForceMayBeOtherThanTheChosenCopyHadThere) {
  history_.forced(Instant{5});
  history_.chose(std::vector<uint64_t>(kBlocks, kFirstVersion));
  history_.began_with(7, kGarbage, Instant{6});
  read(7, 8, kGarbage);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsToTheInitialContentAfterAWrite) {
  write(1, 2);
  read(3, 4, kFirstVersion);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, AcceptsEitherOfTwoConcurrentWrites) {
  const uint64_t a = write(1, 10);
  write(2, 9);
  read(11, 12, a);
  EXPECT_TRUE(right());
}

TEST_F(HistoryTest, ObjectsWhenAnOlderValueComesBack) {
  const uint64_t a = write(1, 10);
  const uint64_t b = write(2, 9);
  read(11, 12, a);
  read(13, 14, b);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsToAReadThatIsOvertakenDuringAWrite) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 20);
  read(4, 5, b);
  read(6, 7, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, AcceptsAnUnansweredWriteThatTookEffectOrDidNot) {
  const uint64_t a = write(1, 2);
  write(3, 0);
  read(5, 6, a);
  EXPECT_TRUE(right());
  const uint64_t c = write(7, 0);
  read(8, 9, c);
  EXPECT_TRUE(right());
}

TEST_F(HistoryTest, ObjectsWhenAnUnansweredWriteIsSeenAndVanishes) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 0);
  read(5, 6, b);
  read(7, 8, a);
  EXPECT_FALSE(right());
}

// Of a write that power loss interrupted.
TEST_F(HistoryTest, AcceptsAPartOfAnUnansweredWrite) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 0);
  read(5, 6, kTornBit | b);
  read(7, 8, kTornBit | b);
  EXPECT_EQ(history_.check().wrong, "");
  read(9, 10, a);
  EXPECT_FALSE(right()) << "it came back after the part was seen";
}

TEST_F(HistoryTest, ObjectsToAnotherPartOfTheSameWrite) {
  const uint64_t a = write(1, 0);
  read(5, 6, kTornBit | a);
  EXPECT_TRUE(right());
  read(7, 8, kTornBit | a | uint64_t{1} << 32);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsToAPartOfWhatWasSeenWhole) {
  for (const bool lost : {false, true}) {
    history_ = {};
    const uint64_t a = write(1, 0);
    read(2, 3, a);
    if (lost) history_.all_lost_unflushed(Instant{4});
    read(5, 6, kTornBit | a);
    EXPECT_EQ(right(), lost);
  }
}

TEST_F(HistoryTest, ObjectsToAPartOfAnAcknowledgedWrite) {
  const uint64_t a = write(1, 2);
  read(5, 6, kTornBit | a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, APartOfAnAcknowledgedWriteMayOutliveALoss) {
  const uint64_t a = write(1, 2);
  history_.all_lost_unflushed(Instant{3});
  read(5, 6, kTornBit | a);
  EXPECT_EQ(history_.check().wrong, "");
  write(7, 8);
  op(OpKind::flush, 9, 10);
  history_.all_lost_unflushed(Instant{11});
  read(12, 13, kTornBit | a);
  EXPECT_FALSE(right()) << "something newer was flushed";
}

TEST_F(HistoryTest, ObjectsToAPartOfWhatWasFlushed) {
  for (const bool fua : {false, true}) {
    history_ = {};
    const uint64_t a = op(OpKind::write, 1, 2, 0, fua);
    if (!fua) op(OpKind::flush, 3, 4);
    history_.all_lost_unflushed(Instant{5});
    read(6, 7, kTornBit | a);
    EXPECT_EQ(std::string(history_.check().promise), "P7");
  }
}

TEST_F(HistoryTest, ObjectsToAValueThatNobodyWrote) {
  read(1, 2, 99);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsToAReadBeforeItsWrite) {
  read(1, 2, History::version_of(1));
  write(3, 4);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ZeroesAreAWriteLikeAnyOther) {
  const uint64_t a = write(1, 2);
  op(OpKind::write_zeroes, 3, 4);
  read(5, 6, kZeroVersion);
  EXPECT_TRUE(right());
  read(7, 8, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, WhatWasNotFlushedMayBeLostEverywhere) {
  const uint64_t a = write(1, 2);
  op(OpKind::flush, 3, 4);
  write(5, 6);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, a);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsWhenSomethingFlushedIsLost) {
  const uint64_t a = write(1, 2);
  write(3, 4);
  op(OpKind::flush, 5, 6);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsWhenAForcedWriteIsLost) {
  const uint64_t a = write(1, 2);
  op(OpKind::write, 3, 4, 0, true);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, a);
  EXPECT_FALSE(right());
}

// A Primary without a disk goes on when its only copy has lost its cache: a write that waited takes effect after that.
TEST_F(HistoryTest, AWriteThatOutlivesALossTakesEffectAfterIt) {
  for (const bool served_on : {false, true}) {
    SCOPED_TRACE(served_on);
    history_ = {};
    const uint64_t a = write(1, 2);
    const uint64_t b = write(3, 20);
    history_.all_lost_unflushed(Instant{10}, served_on);
    read(11, 12, a);
    read(21, 22, b);
    EXPECT_EQ(right(), served_on);
  }
}

TEST_F(HistoryTest, AFlushAfterALossDoesNotBringBackWhatWasLost) {
  const uint64_t a = write(1, 2);
  op(OpKind::flush, 3, 4);
  write(5, 6);
  history_.all_lost_unflushed(Instant{10});
  op(OpKind::flush, 11, 12);
  history_.all_lost_unflushed(Instant{20});
  read(21, 22, a);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsToTwoSurvivorsOfOneLoss) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 4);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, b);
  read(13, 14, a);
  EXPECT_FALSE(right());
}

}  // namespace
}  // namespace lockstep::sim
