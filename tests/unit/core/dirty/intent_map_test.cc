#include "core/dirty/intent_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace lockstep {
namespace {

constexpr uint64_t kExtents = kBitsPerPage + 40;  // two pages

Range extents(uint64_t first, uint64_t count = 1) { return {first * kExtentBytes, count * kExtentBytes}; }
bool in_page(const BitPage& page, uint64_t extent) {
  const uint64_t i = extent % kBitsPerPage;
  return (page[i / 64] >> (i % 64)) & 1;
}

class IntentMapTest : public testing::Test {
 protected:
  IntentMapTest() {
    context_.out = &effects_;
    context_.now = Instant{seconds(1000).ns};
  }
  std::vector<WriteIntentPage> pump() {
    effects_.clear();
    map_.pump();
    std::vector<WriteIntentPage> writes;
    for (const Effect& effect : effects_) writes.push_back(std::get<WriteIntentPage>(effect));
    return writes;
  }
  void write_all() {
    for (const auto& write : pump()) EXPECT_TRUE(map_.done(write.token, true));
  }
  // Written at `position` and over.
  void use(const Range& range, uint64_t position) {
    map_.hold(range, position);
    write_all();
    map_.let_go(range);
  }
  void cool(uint64_t position, Duration idle = {}, uint64_t room = 0) {
    map_.cool(position, context_.now - idle, room, [](uint64_t) { return true; });
  }

  Context context_;
  Effects effects_;
  IntentMap map_{context_, BitVector(kExtents), {}};
};

TEST_F(IntentMapTest, ABitIsDurableOnceItsPageIsWritten) {
  EXPECT_EQ(map_.missing(extents(1, 2)), 2u);
  EXPECT_FALSE(map_.hold(extents(1, 2), 1));
  EXPECT_EQ(map_.missing(extents(1, 2)), 0u);
  EXPECT_FALSE(map_.idle());
  const auto writes = pump();
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].page, 0u);
  EXPECT_EQ(writes[0].sequence, 1u);
  EXPECT_TRUE(in_page(*writes[0].bits, 1) && in_page(*writes[0].bits, 2));
  EXPECT_FALSE(map_.durable(extents(1, 2)));
  EXPECT_FALSE(map_.done({writes[0].token.value + 100}, true));
  EXPECT_TRUE(map_.done(writes[0].token, true));
  EXPECT_TRUE(map_.durable(extents(1, 2)));
  EXPECT_TRUE(map_.idle());
  EXPECT_TRUE(map_.hold({kExtentBytes + 5, 10}, 2)) << "a hot extent costs no write";
  EXPECT_TRUE(pump().empty());
}

TEST_F(IntentMapTest, ABitSetWhileItsPageIsWrittenWaitsForTheNextWrite) {
  map_.hold(extents(1), 1);
  const auto first = pump();
  map_.hold(extents(2), 2);
  EXPECT_TRUE(pump().empty()) << "one write of a page at a time";
  EXPECT_TRUE(map_.done(first.at(0).token, true));
  EXPECT_TRUE(map_.durable(extents(1)));
  EXPECT_FALSE(map_.durable(extents(2)));
  const auto second = pump();
  EXPECT_EQ(second.at(0).sequence, 2u) << "the other slot";
  EXPECT_TRUE(map_.done(second[0].token, true));
  EXPECT_TRUE(map_.durable(extents(2)));
}

TEST_F(IntentMapTest, WhatIsExpectedTakesOnePageWriteAndStaysPinned) {
  map_.hold({2 * kExtentBytes, 4096}, 0);
  map_.expect({2 * kExtentBytes, 4096}, 0b1001);
  const auto writes = pump();
  ASSERT_EQ(writes.size(), 1u);
  for (uint64_t extent : {3, 6}) EXPECT_TRUE(in_page(*writes[0].bits, extent));
  EXPECT_TRUE(map_.done(writes[0].token, true));
  EXPECT_EQ(map_.set_count(), 3u);
  for (uint64_t extent : {3, 6}) EXPECT_TRUE(map_.hold(extents(extent), 0)) << "no write waits";
  EXPECT_TRUE(pump().empty());
  for (uint64_t extent : {2, 3, 6}) map_.let_go(extents(extent));
  cool(100);
  EXPECT_EQ(map_.set_count(), 2u) << "expected extents are pinned";
  map_.unpin_all();
  cool(100);
  EXPECT_EQ(map_.set_count(), 0u);
}

TEST_F(IntentMapTest, WhatIsExpectedBeyondTheEndIsNothing) {
  map_.expect(extents(kExtents - 2), ~uint64_t{0});
  EXPECT_EQ(map_.set_count(), 1u);
}

TEST_F(IntentMapTest, EachPageIsWrittenOnItsOwn) {
  map_.hold(extents(kBitsPerPage - 1, 2), 1);
  const auto writes = pump();
  ASSERT_EQ(writes.size(), 2u);
  EXPECT_TRUE(map_.done(writes[1].token, true));
  EXPECT_FALSE(map_.durable(extents(kBitsPerPage - 1, 2)));
  EXPECT_TRUE(map_.durable(extents(kBitsPerPage)));
  EXPECT_TRUE(map_.done(writes[0].token, true));
  EXPECT_TRUE(map_.durable(extents(kBitsPerPage - 1, 2)));
}

TEST_F(IntentMapTest, SequencesGoOnFromWhatWasFound) {
  IntentMap again(context_, BitVector(kExtents), {41, 7});
  again.hold(extents(kBitsPerPage), 1);
  effects_.clear();
  again.pump();
  EXPECT_EQ(std::get<WriteIntentPage>(effects_.at(0)).sequence, 8u);
}

TEST_F(IntentMapTest, CoolsOnlyWhatIsSettledIdleAndNotInFlight) {
  use(extents(1), 10);
  cool(9);
  EXPECT_EQ(map_.set_count(), 1u) << "not settled";
  map_.hold(extents(1), 10);
  cool(10);
  EXPECT_EQ(map_.set_count(), 1u) << "in flight";
  map_.let_go(extents(1));
  cool(10, seconds(1));
  EXPECT_EQ(map_.set_count(), 1u) << "written a moment ago";
  map_.cool(10, context_.now, 0, [](uint64_t) { return false; });
  EXPECT_EQ(map_.set_count(), 1u) << "the bits of whoever missed it are not durable";
  cool(10);
  EXPECT_EQ(map_.set_count(), 0u);
}

TEST_F(IntentMapTest, WhatAttachFoundSetIsPinnedUntilAllIsSettled) {
  BitVector found(kExtents);
  found.set(3);
  IntentMap again(context_, found, {});
  const auto all = [](uint64_t) { return true; };
  again.cool(100, context_.now, 0, all);
  EXPECT_EQ(again.set_count(), 1u);
  again.settle_all();
  again.cool(0, context_.now, 0, all);
  EXPECT_EQ(again.set_count(), 0u);
}

TEST_F(IntentMapTest, SettlingLeavesWhatIsInFlight) {
  map_.hold(extents(1), 5);
  map_.settle_all();
  write_all();
  cool(4);
  map_.let_go(extents(1));
  cool(4);
  EXPECT_EQ(map_.set_count(), 1u);
  cool(5);
  EXPECT_EQ(map_.set_count(), 0u);
}

TEST_F(IntentMapTest, PinnedExtentsStayUntilANewPrimaryRebases) {
  use(extents(1, 2), 1);
  map_.pin(extents(2));
  cool(10);
  EXPECT_TRUE(map_.bits().test(2) && !map_.bits().test(1));
  map_.pin_all();
  cool(10);
  EXPECT_TRUE(map_.bits().test(2));
  map_.rebase(7);
  cool(6);
  EXPECT_TRUE(map_.bits().test(2)) << "counts as written at the position given";
  cool(7);
  EXPECT_EQ(map_.set_count(), 0u);
}

TEST_F(IntentMapTest, MakesRoomByClearingTheLeastRecentlyUsedFirst) {
  for (uint64_t extent : {5U, 1U, 9U}) {
    use(extents(extent), 1);
    context_.now = context_.now + milliseconds(1);
  }
  cool(1, seconds(10), 1);
  EXPECT_FALSE(map_.bits().test(5));
  cool(1, seconds(10), 1);
  EXPECT_FALSE(map_.bits().test(1));
  EXPECT_TRUE(map_.bits().test(9));
  cool(1, seconds(10), 5);
  EXPECT_EQ(map_.set_count(), 0u);
}

TEST_F(IntentMapTest, IdleExtentsCountTowardsTheRoomThatIsAskedFor) {
  use(extents(1), 1);
  context_.now = context_.now + seconds(20);
  use(extents(2), 1);
  cool(1, seconds(10), 1);
  EXPECT_FALSE(map_.bits().test(1));
  EXPECT_TRUE(map_.bits().test(2));
}

TEST_F(IntentMapTest, NothingIsDurableAnyMoreOnceAWriteFailed) {
  map_.hold(extents(1), 1);
  EXPECT_TRUE(map_.done(pump().at(0).token, false));
  EXPECT_FALSE(map_.durable(extents(1)));
  map_.hold(extents(2), 1);
  EXPECT_TRUE(pump().empty());
}

TEST_F(IntentMapTest, NothingIsWrittenOnceStopped) {
  map_.stop();
  map_.hold(extents(1), 1);
  EXPECT_TRUE(pump().empty());
}

TEST_F(IntentMapTest, LettingGoOfWhatIsNotHeldIsABug) { EXPECT_DEATH(map_.let_go(extents(1)), "in_flight"); }

// A crash after any step: whichever version of a page survives (the last durable one, or the one that was
// being written), every extent with data in flight on the disk is set in it. Data goes to the disk only where
// durable() says so.
TEST_F(IntentMapTest, ACrashAfterAnyStepFindsEveryExtentWithDataInFlight) {
  constexpr uint64_t kUsed = 12;
  std::mt19937_64 random(4);
  BitPage durable{};
  std::optional<WriteIntentPage> writing;
  std::vector<uint64_t> held;        // extents that wait or are being written
  std::array<int, kUsed> on_disk{};  // data submitted and not yet done
  uint64_t position = 0;
  for (int step = 0; step < 20000; ++step) {
    context_.now = context_.now + milliseconds(1);
    const uint64_t extent = random() % kUsed;
    switch (random() % 6) {
      case 0:
        map_.hold(extents(extent), ++position);
        held.push_back(extent);
        break;
      case 1:
        for (uint64_t waiting : held) {
          if (map_.durable(extents(waiting))) on_disk[waiting] = 1;
        }
        break;
      case 2:
        if (held.empty()) break;
        map_.let_go(extents(held.back()));
        if (std::count(held.begin(), held.end(), held.back()) == 1) on_disk[held.back()] = 0;
        held.pop_back();
        break;
      case 3:
        cool(position, milliseconds(static_cast<int64_t>(random() % 20)), random() % 3);
        break;
      case 4:
        if (const auto writes = pump(); !writes.empty()) {
          ASSERT_FALSE(writing) << "a page has one write under way";
          writing = writes[0];
        }
        break;
      case 5:
        if (!writing) break;
        ASSERT_TRUE(map_.done(writing->token, true));
        durable = *writing->bits;
        writing.reset();
        break;
    }
    for (uint64_t i = 0; i < kUsed; ++i) {
      if (on_disk[i] == 0) continue;
      ASSERT_TRUE(in_page(durable, i)) << step;
      ASSERT_TRUE(!writing || in_page(*writing->bits, i)) << step;
    }
  }
}

// On a disk that keeps digests an extent is sealed before its bit goes.
class SealingTest : public IntentMapTest {
 protected:
  SealingTest() { context_.config.digests_at_rest = true; }
  std::vector<SealExtent> seals(uint64_t position, Duration idle = {}, uint64_t room = 0) {
    effects_.clear();
    cool(position, idle, room);
    std::vector<SealExtent> asked;
    for (const Effect& effect : effects_) asked.push_back(std::get<SealExtent>(effect));
    return asked;
  }
};

TEST_F(SealingTest, ABitGoesWhenItsExtentIsSealed) {
  use(extents(3), 1);
  const auto asked = seals(1);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].extent, 3u);
  EXPECT_TRUE(map_.bits().test(3));
  EXPECT_FALSE(map_.idle()) << "a stop waits for it";
  EXPECT_TRUE(seals(1).empty()) << "one at a time";
  EXPECT_FALSE(map_.sealed({asked[0].token.value + 100}, true));
  EXPECT_TRUE(map_.sealed(asked[0].token, true));
  EXPECT_TRUE(map_.bits().test(3)) << "what covers it is asked again";
  EXPECT_TRUE(seals(1).empty());
  EXPECT_FALSE(map_.bits().test(3));
}

TEST_F(SealingTest, AWriteMakesASealWorthlessThatWasBegunBefore) {
  use(extents(3), 1);
  const auto asked = seals(1);
  use(extents(3), 2);
  EXPECT_TRUE(map_.sealed(asked.at(0).token, true));
  const auto again = seals(2);
  ASSERT_EQ(again.size(), 1u) << "it is sealed anew";
  EXPECT_TRUE(map_.bits().test(3));
  EXPECT_TRUE(map_.sealed(again[0].token, true));
  seals(2);
  EXPECT_FALSE(map_.bits().test(3));
}

TEST_F(SealingTest, AWriteMakesASealWorthlessThatWasDone) {
  use(extents(3), 1);
  EXPECT_TRUE(map_.sealed(seals(1).at(0).token, true));
  use(extents(3), 2);
  EXPECT_EQ(seals(2).size(), 1u);
  EXPECT_TRUE(map_.bits().test(3));
}

TEST_F(SealingTest, ASealThatWasOvertakenMayEndAfterTheNextOne) {
  use(extents(3), 1);
  const auto first = seals(1);
  use(extents(3), 2);
  const auto second = seals(2);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_TRUE(map_.sealed(second[0].token, true));
  EXPECT_TRUE(map_.sealed(first.at(0).token, true));
  seals(2);
  EXPECT_FALSE(map_.bits().test(3));
}

TEST_F(SealingTest, WhatIsSealedAndPinnedStays) {
  use(extents(3), 1);
  EXPECT_TRUE(map_.sealed(seals(1).at(0).token, true));
  map_.pin_all();
  EXPECT_TRUE(seals(1).empty());
  EXPECT_TRUE(map_.bits().test(3));
}

TEST_F(SealingTest, RoomCostsSealsOfTheOldestAndNoMoreThanAsked) {
  for (uint64_t i = 0; i < 4; ++i) {
    context_.now = context_.now + seconds(1);
    use(extents(i), i + 1);
  }
  const auto asked = seals(4, seconds(60), 2);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].extent, 0u);
  EXPECT_EQ(asked[1].extent, 1u);
  EXPECT_TRUE(seals(4, seconds(60), 2).empty()) << "those that are under way count";
}

TEST_F(SealingTest, AfterASealThatFailedNothingMoreIsWritten) {
  use(extents(3), 1);
  use(extents(4), 1);
  const auto asked = seals(1);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_TRUE(map_.sealed(asked[0].token, false));
  EXPECT_TRUE(map_.sealed(asked[1].token, true));
  EXPECT_TRUE(seals(1).empty());
  EXPECT_TRUE(pump().empty());
}

// After a large resync hundreds of thousands may go at once: a few are under way, and each look goes on where the one before stopped.
TEST_F(SealingTest, ManyExtentsGoAFewAtATime) {
  constexpr uint64_t kMany = 20000;
  use(extents(0, kMany), 1);
  size_t most = 0, looks = 0, asked_for = 0;
  uint64_t covered = 0;
  for (;; ++looks) {
    ASSERT_LT(looks, kMany);
    effects_.clear();
    map_.cool(1, context_.now, 0, [&covered](uint64_t) { return ++covered > 0; });
    if (effects_.empty() && map_.bits().count() == 0) break;
    const Effects asked = effects_;
    most = std::max(most, asked.size());
    asked_for += asked.size();
    for (const Effect& effect : asked) map_.sealed(std::get<SealExtent>(effect).token, true);
    EXPECT_TRUE(map_.wants_cooling());
  }
  EXPECT_LE(most, 32u);
  EXPECT_EQ(asked_for, kMany);
  EXPECT_LT(covered, 4 * kMany) << "not all of them again and again";
}

}  // namespace
}  // namespace lockstep
