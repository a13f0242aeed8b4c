#include "shell/digests/digest_table.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <deque>
#include <map>
#include <optional>
#include <set>

namespace lockstep {
namespace {

constexpr uint64_t kExtents = 4;
constexpr uint64_t kBlocks = kExtents * kBlocksPerExtent;

BlockDigest digest(uint8_t n) {
  BlockDigest made;
  made.fill(static_cast<std::byte>(n));
  return made;
}
Range blocks(uint64_t first, uint64_t count = 1) { return {first * kBlockBytes, count * kBlockBytes}; }

// A device that answers at once, or when it is told to.
class FakePages : public DigestTable::Pages {
 public:
  void read(uint64_t page, Read done) override {
    ++reads;
    wait_or_run([this, page, done = std::move(done)] {
      const auto at = on_disk.find(page);
      done(at == on_disk.end() ? nullptr : &at->second);
    });
  }
  void write(uint64_t page, const DigestPage& digests, Written done) override {
    ++writes;
    EXPECT_TRUE(being_written.insert(page).second) << "two writes of one page";
    wait_or_run([this, page, digests, done = std::move(done)] {
      being_written.erase(page);
      if (!broken) on_disk[page] = digests;
      done(broken ? ENOSPC : 0);
    });
  }
  void answer() {
    std::deque<std::function<void()>> now;
    now.swap(waiting);
    for (const auto& one : now) one();
  }
  void answer_all() {
    while (!waiting.empty()) answer();
  }

  std::map<uint64_t, DigestPage> on_disk;
  std::set<uint64_t> being_written;
  std::deque<std::function<void()>> waiting;
  bool held = false;
  bool broken = false;
  int reads = 0;
  int writes = 0;

 private:
  void wait_or_run(std::function<void()> what) { held ? waiting.push_back(std::move(what)) : what(); }
};

class DigestTableTest : public testing::Test {
 protected:
  void attach(std::initializer_list<uint64_t> in_doubt = {}, size_t most_pages = 1000) {
    table_.reset();
    BitVector extents(kExtents);
    for (uint64_t extent : in_doubt) extents.set(extent);
    table_.emplace(pages_, kBlocks, extents, most_pages);
  }
  void write(uint64_t block, uint8_t content) {
    table_->change_begins(blocks(block));
    table_->change_ends(blocks(block), std::vector{digest(content)});
  }
  bool seal(uint64_t extent) {
    std::optional<int> error;
    table_->seal(extent, [&](int said) { error = said; });
    pages_.answer_all();
    EXPECT_TRUE(error.value() == 0 || error.value() == ENOSPC);
    return error.value() == 0;
  }
  // How many blocks are wrong that read as this.
  uint64_t read(uint64_t first, std::vector<uint8_t> contents, BlockMask learn = 0) {
    const auto id = table_->read_begins(blocks(first, contents.size()));
    std::vector<BlockDigest> digests;
    for (uint8_t content : contents) digests.push_back(digest(content));
    std::optional<DigestTable::Verdict> verdict;
    table_->read_ends(id, digests, learn, [&](const DigestTable::Verdict& said) { verdict = said; });
    pages_.answer_all();
    return verdict.value().wrong;
  }

  FakePages pages_;
  std::optional<DigestTable> table_;
};

TEST_F(DigestTableTest, WhatWasNeverWrittenPasses) {
  attach();
  EXPECT_EQ(read(7, {1, 2, 3}), 0u);
  EXPECT_EQ(pages_.writes, 0);
}

TEST_F(DigestTableTest, WhatWasWrittenIsCheckedAtOnceAndAfterASeal) {
  attach();
  write(7, 1);
  EXPECT_EQ(read(7, {1}), 0u);
  EXPECT_EQ(read(6, {9, 2, 9}), 1u);
  EXPECT_EQ(table_->wrong_blocks(), 1u);
  ASSERT_TRUE(seal(0));
  attach();
  EXPECT_EQ(read(7, {1}), 0u);
  EXPECT_EQ(read(7, {2}), 1u);
}

TEST_F(DigestTableTest, TheVerdictNamesTheFirstWrongBlock) {
  attach();
  write(1030, 1);
  write(1031, 1);
  const auto id = table_->read_begins(blocks(1028, 4));
  std::optional<DigestTable::Verdict> verdict;
  table_->read_ends(id, std::vector(4, digest(5)), 0, [&](const DigestTable::Verdict& said) { verdict = said; });
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->wrong, 2u);
  EXPECT_EQ(verdict->first, 1030u);
}

TEST_F(DigestTableTest, ASealWritesWhatChangedAndNothingElse) {
  attach();
  write(0, 1);
  write(1023, 2);
  write(1024, 3);
  ASSERT_TRUE(seal(0));
  EXPECT_EQ(pages_.writes, 2);
  EXPECT_EQ(pages_.on_disk.at(0)[0], digest(1));
  EXPECT_EQ(pages_.on_disk.at(4)[1023 - 4 * kDigestsPerPage], digest(2));
  EXPECT_FALSE(pages_.on_disk.contains(5));  // another extent's
  ASSERT_TRUE(seal(0));
  EXPECT_EQ(pages_.writes, 2);
}

TEST_F(DigestTableTest, WhatIsOnDiskIsKeptWhenOtherBlocksOfThePageChange) {
  attach();
  write(1, 1);
  ASSERT_TRUE(seal(0));
  attach();
  write(2, 2);
  ASSERT_TRUE(seal(0));
  attach();
  EXPECT_EQ(read(1, {1, 2}), 0u);
  EXPECT_EQ(read(1, {3, 3}), 2u);
}

TEST_F(DigestTableTest, AChangeMakesAnOlderDigestWorthlessFromItsBeginning) {
  attach();
  write(1, 1);
  ASSERT_TRUE(seal(0));
  attach();
  table_->change_begins(blocks(1));
  EXPECT_EQ(read(1, {2}), 0u);
  table_->change_ends(blocks(1), {});  // it failed: either may be there
  EXPECT_EQ(read(1, {1}), 0u);
  EXPECT_EQ(read(1, {2}), 0u);
  ASSERT_TRUE(seal(0));
  attach();
  EXPECT_EQ(read(1, {2}), 0u);
}

TEST_F(DigestTableTest, ExtentsInDoubtAreNotBelievedUntilTheyAreSealed) {
  attach();
  write(1, 1);
  write(300, 3);
  ASSERT_TRUE(seal(0));
  attach({0});
  EXPECT_EQ(read(1, {2}), 0u);
  write(1, 4);
  EXPECT_EQ(read(1, {5}), 1u);
  ASSERT_TRUE(seal(0));
  attach();
  EXPECT_EQ(read(1, {4}), 0u);
  EXPECT_EQ(read(1, {5}), 1u);
  EXPECT_EQ(read(300, {9}), 0u);  // what was there before the crash counts no more
}

TEST_F(DigestTableTest, AReadDuringAChangeIsNotJudgedAndItsNeighboursAre) {
  attach();
  write(1, 1);
  write(2, 2);
  const auto id = table_->read_begins(blocks(1, 2));
  write(1, 7);
  std::optional<DigestTable::Verdict> verdict;
  table_->read_ends(id, {digest(9), digest(9)}, 0, [&](const DigestTable::Verdict& said) { verdict = said; });
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->wrong, 1u);
  EXPECT_EQ(verdict->first, 2u);
}

TEST_F(DigestTableTest, OfBlocksThatChangeInPartNothingIsKnown) {
  attach();
  write(1, 1);
  write(2, 2);
  write(3, 3);
  const Range range{kBlockBytes + 512, 2 * kBlockBytes};  // in part, whole, in part
  table_->change_begins(range);
  table_->change_ends(range, std::vector{digest(8)});
  EXPECT_EQ(read(1, {9}), 0u);
  EXPECT_EQ(read(2, {8}), 0u);
  EXPECT_EQ(read(2, {9}), 1u);
  EXPECT_EQ(read(3, {9}), 0u);
}

TEST_F(DigestTableTest, OfABlockThatTwoChangedAtOnceNothingIsKnown) {
  attach();
  table_->change_begins(blocks(1));
  table_->change_begins(blocks(1));
  table_->change_ends(blocks(1), std::vector{digest(1)});
  table_->change_ends(blocks(1), std::vector{digest(2)});
  EXPECT_EQ(read(1, {3}), 0u);
  write(1, 4);
  EXPECT_EQ(read(1, {3}), 1u);
}

TEST_F(DigestTableTest, ManyBlocksMayBecomeTheSame) {
  attach();
  table_->change_begins(blocks(1000, 100));
  table_->change_ends_alike(blocks(1000, 100), digest(1));
  EXPECT_EQ(read(999, {5, 1, 1}), 0u);
  EXPECT_EQ(read(1099, {2, 2}), 1u);
}

TEST_F(DigestTableTest, AReadWaitsForItsPage) {
  attach();
  write(1, 1);
  ASSERT_TRUE(seal(0));
  attach();
  pages_.held = true;
  const auto id = table_->read_begins(blocks(1));
  std::optional<DigestTable::Verdict> verdict;
  table_->read_ends(id, {digest(2)}, 0, [&](const DigestTable::Verdict& said) { verdict = said; });
  EXPECT_FALSE(verdict);
  pages_.answer();
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->wrong, 1u);
}

TEST_F(DigestTableTest, ASealCoversWhatWasKnownWhenItWasAskedFor) {
  attach();
  pages_.held = true;
  write(1, 1);
  int sealed = 0;
  table_->seal(0, [&](int error) { sealed += error == 0 ? 1 : 100; });
  pages_.answer();  // the page is read
  EXPECT_EQ(sealed, 0);
  write(2, 2);  // while it is written
  table_->seal(0, [&](int error) { sealed += error == 0 ? 1 : 100; });
  pages_.answer();
  EXPECT_EQ(sealed, 1);
  EXPECT_EQ(pages_.on_disk.at(0)[2], kNoDigest);
  pages_.answer();
  EXPECT_EQ(sealed, 2);
  EXPECT_EQ(pages_.on_disk.at(0)[2], digest(2));
}

TEST_F(DigestTableTest, ASealJoinsAWriteThatSaysItAll) {
  attach();
  pages_.held = true;
  write(1, 1);
  int sealed = 0;
  table_->seal(0, [&](int error) { sealed += error == 0 ? 1 : 100; });
  pages_.answer();
  table_->seal(0, [&](int error) { sealed += error == 0 ? 1 : 100; });
  pages_.answer();
  EXPECT_EQ(sealed, 2);
  EXPECT_EQ(pages_.writes, 1);
}

TEST_F(DigestTableTest, ASealWaitsForTheChangesOfItsExtent) {
  attach();
  write(1, 1);
  table_->change_begins(blocks(1));
  table_->change_begins(blocks(2));
  int sealed = 0;
  table_->seal(0, [&](int error) { sealed += error == 0 ? 1 : 100; });
  table_->change_ends(blocks(1), std::vector{digest(2)});
  EXPECT_EQ(sealed, 0);
  EXPECT_EQ(pages_.writes, 0);
  table_->change_ends(blocks(2), std::vector{digest(3)});
  EXPECT_EQ(sealed, 1);
  EXPECT_EQ(pages_.on_disk.at(0)[1], digest(2));
  EXPECT_EQ(pages_.on_disk.at(0)[2], digest(3));
}

TEST_F(DigestTableTest, ASealThatWaitsForAPageWaitsForTheChangesToo) {
  attach();
  pages_.held = true;
  write(1, 1);
  int sealed = 0;
  table_->seal(0, [&](int error) { sealed += error == 0 ? 1 : 100; });
  table_->change_begins(blocks(2));
  pages_.answer_all();
  EXPECT_EQ(sealed, 0);
  table_->change_ends(blocks(2), std::vector{digest(3)});
  pages_.answer_all();
  EXPECT_EQ(sealed, 1);
  EXPECT_EQ(pages_.on_disk.at(0)[2], digest(3));
}

TEST_F(DigestTableTest, AFailedWriteFailsTheSealAndAllAfterIt) {
  attach();
  write(1, 1);
  pages_.broken = true;
  EXPECT_FALSE(seal(0));
  pages_.broken = false;
  EXPECT_FALSE(seal(0));
  EXPECT_FALSE(seal(1));
}

TEST_F(DigestTableTest, WhatCouldNotBeWrittenIsStillKnown) {
  attach({}, 1);
  write(1, 1);
  ASSERT_TRUE(seal(0));
  write(1, 2);
  pages_.broken = true;
  for (uint64_t extent = 1; extent < kExtents; ++extent) write(extent * kBlocksPerExtent, 9);  // they want its room
  EXPECT_EQ(read(1, {2}), 0u);
  EXPECT_EQ(read(1, {1}), 1u);
  EXPECT_FALSE(seal(0));
}

TEST_F(DigestTableTest, ComparisonsTeachWhatIsNotKnownAndNothingElse) {
  attach();
  write(1, 1);
  EXPECT_EQ(read(0, {5, 6, 7}, 0b011), 1u);  // block 1 is known, block 2 was found to differ
  EXPECT_EQ(read(0, {5, 1, 9}), 0u);
  EXPECT_EQ(read(0, {4, 1, 9}), 1u);
}

TEST_F(DigestTableTest, WhatWasLearnedReachesTheDiskAsTheComparisonGoesOn) {
  attach();
  for (uint64_t first = 0; first + 8 <= kBlocks; first += 8) EXPECT_EQ(read(first, std::vector<uint8_t>(8, 3), 0xff), 0u);
  table_->write_learned();
  attach();
  EXPECT_EQ(read(0, {4}), 1u);
  EXPECT_EQ(read(kBlocksPerExtent, {4}), 1u);
  EXPECT_EQ(read(kBlocks - 1, {4}), 1u);
}

TEST_F(DigestTableTest, WhoChangesMoreThanCanBeWrittenWaits) {
  attach({}, 4);
  pages_.held = true;
  int gone_on = 0;
  for (uint64_t page = 0; page < 16; ++page) {
    write(page / 5 * kBlocksPerExtent + page % 5 * kDigestsPerPage, 1);
    table_->when_roomy([&gone_on] { ++gone_on; });
  }
  EXPECT_EQ(gone_on, 8);
  pages_.answer_all();
  EXPECT_EQ(gone_on, 16);
  EXPECT_LE(table_->pages_in_memory(), 8u);
}

TEST_F(DigestTableTest, NobodyWaitsForADiskThatFailed) {
  attach({}, 1);
  pages_.broken = true;
  int gone_on = 0;
  for (uint64_t page = 0; page < 5; ++page) {
    write(page * kDigestsPerPage, 1);
    table_->when_roomy([&gone_on] { ++gone_on; });
  }
  EXPECT_EQ(gone_on, 5);
}

TEST_F(DigestTableTest, AVerdictMayEndAnotherReadOfThePage) {
  attach();
  pages_.held = true;
  const auto one = table_->read_begins(blocks(1));
  const auto other = table_->read_begins(blocks(2));
  int judged = 0;
  table_->read_ends(one, {digest(1)}, 0, [&](const DigestTable::Verdict&) {
    ++judged;
    table_->read_failed(other);
  });
  pages_.answer_all();
  EXPECT_EQ(judged, 1);
}

TEST_F(DigestTableTest, MemoryIsBoundedAndWhatHasToGoIsWritten) {
  attach({}, 3);
  for (uint64_t extent = 0; extent < kExtents; ++extent) {
    for (uint64_t page = 0; page < kDigestPagesPerExtent; ++page)
      write(extent * kBlocksPerExtent + page * kDigestsPerPage, static_cast<uint8_t>(1 + extent * 5 + page));
  }
  EXPECT_LE(table_->pages_in_memory(), 4u);
  for (uint64_t extent = 0; extent < kExtents; ++extent) {
    for (uint64_t page = 0; page < kDigestPagesPerExtent; ++page) {
      const uint64_t block = extent * kBlocksPerExtent + page * kDigestsPerPage;
      EXPECT_EQ(read(block, {static_cast<uint8_t>(1 + extent * 5 + page)}), 0u);
      EXPECT_EQ(read(block, {200}), 1u);
    }
  }
}

TEST_F(DigestTableTest, WhatIsInUseStaysWhateverTheRoom) {
  attach({}, 1);
  pages_.held = true;
  std::vector<DigestTable::ReadId> reads;
  for (uint64_t extent = 0; extent < kExtents; ++extent) reads.push_back(table_->read_begins(blocks(extent * kBlocksPerExtent)));
  EXPECT_EQ(table_->pages_in_memory(), kExtents);
  pages_.answer_all();
  for (const auto id : reads) table_->read_failed(id);
  EXPECT_EQ(table_->pages_in_memory(), 1u);
}

TEST_F(DigestTableTest, AnswersAfterItsEndAreNobodysBusiness) {
  attach();
  pages_.held = true;
  table_->read_begins(blocks(1));
  table_.reset();
  pages_.answer_all();
}

}  // namespace
}  // namespace lockstep
