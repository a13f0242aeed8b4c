#include "shell/meta_store.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/shell/meta_fakes.h"

namespace lockstep {
namespace {

using fakes::FakeBlockDevice;
using fakes::Formatted;

constexpr int kNotCalled = -1;

struct Answer {
  int error = kNotCalled;
  MetaStore::Done done() {
    return [this](int e) { error = e; };
  }
};

class MetaStoreTest : public testing::Test {
 protected:
  MetaStoreTest() {
    AttachOutcome outcome = formatted.attach();
    loaded = outcome.attached->loaded;
    store.emplace(device, outcome.attached->chain);
  }
  std::shared_ptr<const NodeRecord> changed(uint64_t counter) const {
    auto record = std::make_shared<NodeRecord>(loaded.record);
    record->acceptor.promised = {counter, {0}, record->start()};
    return record;
  }
  static std::shared_ptr<const BitPage> page(uint64_t word) {
    auto bits = std::make_shared<BitPage>();
    bits->front() = word;
    bits->back() = word;  // beyond the volume, in another 512-byte piece than the rest: a torn write then shows
    return bits;
  }

  Formatted formatted;
  FakeBlockDevice device{formatted.image};
  Loaded loaded;
  std::optional<MetaStore> store;
};

TEST_F(MetaStoreTest, RecordIsAnsweredWhenBothHalvesAreDurable) {
  Answer answer;
  store->write_record(changed(5), answer.done());
  ASSERT_EQ(device.pending(), 1u);
  EXPECT_EQ(device.pending_offset(), formatted.layout.superblock_copy(0));
  EXPECT_EQ(device.pending_length(), 2 * kSectorBytes);
  device.complete_one();
  EXPECT_EQ(answer.error, kNotCalled);
  ASSERT_EQ(device.pending(), 1u);
  EXPECT_EQ(device.pending_offset(), formatted.layout.superblock_copy(2));
  device.complete_one();
  EXPECT_EQ(answer.error, 0);
  EXPECT_EQ(formatted.attach().attached->loaded.record.acceptor.promised.counter, 5u);
}

TEST_F(MetaStoreTest, RecordsFormAChain) {
  for (uint64_t counter = 1; counter <= 5; ++counter) {
    Answer answer;
    store->write_record(changed(counter), answer.done());
    device.complete_all();
    ASSERT_EQ(answer.error, 0);
  }
  const AttachOutcome again = formatted.attach();
  ASSERT_TRUE(again.attached);
  EXPECT_EQ(again.attached->repaired_copies, 0u);
  EXPECT_EQ(again.attached->loaded.record.acceptor.promised.counter, 5u);
  EXPECT_EQ(again.attached->loaded.record.start(), loaded.record.start() + 1);
}

TEST_F(MetaStoreTest, TornRecordWriteLeavesTheOldOrTheNewOne) {
  Answer first;
  store->write_record(changed(1), first.done());
  device.complete_all();
  const auto superblocks = std::span(formatted.image).subspan(formatted.layout.superblock_offset);
  const std::vector<std::byte> before(superblocks.begin(), superblocks.end());
  std::mt19937 random(1);
  for (uint32_t i = 0; i < 400; ++i) {
    std::copy(before.begin(), before.end(), superblocks.begin());
    MetaStore torn_store(device, formatted.attach().attached->chain);
    const bool second_half = i % 2 != 0;
    // Every prefix, then random subsets.
    const uint32_t pieces = i / 2 <= 16 ? (uint32_t{1} << (i / 2)) - 1 : static_cast<uint32_t>(random()) & 0xffff;
    Answer answer;
    torn_store.write_record(changed(2), answer.done());
    if (second_half) device.complete_one();
    device.tear_one(pieces);
    EXPECT_EQ(answer.error, kNotCalled);
    const AttachOutcome again = formatted.attach();
    ASSERT_TRUE(again.attached) << again.error.text;
    const uint64_t counter = again.attached->loaded.record.acceptor.promised.counter;
    ASSERT_TRUE(counter == 2 || (counter == 1 && !second_half)) << pieces;
    ASSERT_EQ(formatted.attach().attached->repaired_copies, 0u);
  }
}

TEST_F(MetaStoreTest, IntentPagesAlternateBetweenTheirSlots) {
  const uint64_t last = loaded.intent_sequences[0];
  EXPECT_EQ(last, 1u);
  for (uint64_t sequence = last + 1; sequence <= last + 3; ++sequence) {
    Answer answer;
    store->write_intent_page(0, sequence, page(sequence), answer.done());
    EXPECT_EQ(device.pending_offset(), formatted.layout.intent_slot(0, sequence % 2));
    device.complete_all();
    EXPECT_EQ(answer.error, 0);
  }
  Answer torn;
  store->write_intent_page(0, last + 4, page(0xff), torn.done());
  device.tear_one(0x0f);
  const AttachOutcome again = formatted.attach();
  EXPECT_EQ(again.attached->loaded.intent_sequences[0], last + 3);
  EXPECT_EQ(again.attached->loaded.intent.count(), 1u);  // 4: bit 2
  EXPECT_TRUE(again.attached->loaded.intent.test(2));
}

TEST_F(MetaStoreTest, BitmapPagesComeBackAndTornOnesAreAllOnes) {
  Answer answer;
  store->write_bitmap_page({1}, 0, page(0b101), answer.done());
  device.complete_all();
  EXPECT_EQ(answer.error, 0);
  EXPECT_EQ(formatted.attach().attached->loaded.bitmaps[1].count(), 2u);
  store->write_bitmap_page({1}, 0, page(0b111), answer.done());
  device.tear_one(0x01);  // the header only
  const AttachOutcome again = formatted.attach();
  EXPECT_EQ(again.attached->unreadable_bitmap_pages, 1u);
  EXPECT_EQ(again.attached->loaded.bitmaps[1].count(), formatted.layout.blocks());
  EXPECT_EQ(again.attached->loaded.bitmaps[2].count(), 0u);
  EXPECT_EQ(again.attached->loaded.bitmaps[0].size(), 0u);  // itself
  EXPECT_EQ(again.attached->loaded.bitmaps[3].size(), 0u);  // not configured
}

TEST_F(MetaStoreTest, NoSlotForThePeer) {
  Answer answer;
  store->write_bitmap_page({9}, 0, page(1), answer.done());
  EXPECT_EQ(answer.error, EINVAL);
  EXPECT_EQ(device.pending(), 0u);
}

TEST_F(MetaStoreTest, AFailureIsReportedAndEndsEveryFurtherWrite) {
  Answer failed;
  Answer in_flight;
  Answer later;
  store->write_intent_page(0, 2, page(1), failed.done());
  store->write_record(changed(3), in_flight.done());
  device.complete_one(EIO);
  EXPECT_EQ(failed.error, EIO);
  EXPECT_TRUE(store->failed());
  device.complete_one();  // the first half arrives; the second is not sent
  EXPECT_EQ(in_flight.error, EIO);
  store->write_bitmap_page({1}, 0, page(1), later.done());
  EXPECT_EQ(later.error, EIO);
  EXPECT_EQ(device.pending(), 0u);
}

TEST_F(MetaStoreTest, FailureOfEitherHalfIsReported) {
  Answer answer;
  store->write_record(changed(3), answer.done());
  device.complete_one();
  device.complete_one(ENOSPC);
  EXPECT_EQ(answer.error, ENOSPC);
  EXPECT_TRUE(store->failed());
}

TEST_F(MetaStoreTest, HungBuffersAreNotUsedAgainAndOutliveTheStore) {
  Answer hung;
  Answer others[3];
  store->write_bitmap_page({1}, 0, page(1), hung.done());
  for (uint8_t i = 0; i < 3; ++i) store->write_intent_page(0, uint64_t{2} + i, page(i), others[i].done());
  EXPECT_EQ(store->outstanding(), 4u);
  store.reset();
  device.complete_all();  // the fake checks the buffers, the sanitizer their lifetime
  EXPECT_EQ(hung.error, kNotCalled);
}

}  // namespace
}  // namespace lockstep
