#include "lossy_disk/disk.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>
#include <vector>

namespace lockstep::lossy {
namespace {

class LossyDisk : public testing::Test {
 protected:
  LossyDisk() : file_(std::tmpfile()) { EXPECT_EQ(::ftruncate(::fileno(file_), 64 * kSector), 0); }
  ~LossyDisk() override { std::fclose(file_); }

  static std::vector<std::byte> filled(size_t sectors, char with) {
    return std::vector<std::byte>(sectors * kSector, std::byte(with));
  }
  // The first byte of each sector; '.' for zero.
  std::string shown(size_t sectors) {
    std::string text;
    for (size_t s = 0; s < sectors; ++s) {
      std::vector<std::byte> data(kSector);
      EXPECT_EQ(disk_.read(disk_.epoch(), s * kSector, kSector, data.data()), 0);
      text += data[0] == std::byte{0} ? '.' : static_cast<char>(data[0]);
    }
    return text;
  }
  int write(size_t sector, size_t sectors, char with) {
    return disk_.write(disk_.epoch(), sector * kSector, sectors * kSector, filled(sectors, with).data());
  }
  int flush() { return disk_.flush(disk_.epoch()); }

  std::FILE* file_;
  Disk disk_{::fileno(file_), 64 * kSector};
};

TEST_F(LossyDisk, ShowsWhatWasWrittenLast) {
  EXPECT_EQ(write(1, 3, 'a'), 0);
  EXPECT_EQ(write(2, 1, 'b'), 0);
  EXPECT_EQ(disk_.zero(disk_.epoch(), 3 * kSector, kSector), 0);
  EXPECT_EQ(shown(5), ".ab..");
}

TEST_F(LossyDisk, WhatWasFlushedStays) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(write(0, 4, 'a'), 0);
    EXPECT_EQ(flush(), 0);
    EXPECT_EQ(disk_.command("crash " + std::to_string(seed)).substr(0, 6), "0 of 0");
    EXPECT_EQ(shown(4), "aaaa");
  }
}

TEST_F(LossyDisk, WhatWasNotFlushedIsLostInEveryManner) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    EXPECT_EQ(write(0, 2, '0'), 0);
    EXPECT_EQ(flush(), 0);
    EXPECT_EQ(write(0, 2, 'a'), 0);
    EXPECT_EQ(write(0, 2, 'b'), 0);
    disk_.command("crash " + std::to_string(seed));
    seen.insert(shown(2));
  }
  // Nothing, one, both; and torn: each sector of any version.
  for (const char* state : {"00", "aa", "bb", "0a", "a0", "0b", "b0", "ab", "ba"}) EXPECT_TRUE(seen.contains(state)) << state;
}

TEST_F(LossyDisk, FuaIsDurableAlone) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(write(0, 4, '0'), 0);
    EXPECT_EQ(flush(), 0);
    EXPECT_EQ(write(0, 4, 'a'), 0);
    EXPECT_EQ(disk_.write(disk_.epoch(), kSector, 2 * kSector, filled(2, 'f').data(), true), 0);
    EXPECT_EQ(shown(4), "affa");
    EXPECT_EQ(disk_.command("crash " + std::to_string(seed)).substr(1, 15), " of 2 sectors o");
    EXPECT_EQ(shown(4).substr(1, 2), "ff");
  }
}

TEST_F(LossyDisk, WithoutACacheAllIsDurable) {
  EXPECT_EQ(write(0, 2, 'a'), 0);
  EXPECT_EQ(disk_.command("cache off"), "cache off");
  EXPECT_EQ(write(1, 2, 'b'), 0);
  EXPECT_EQ(disk_.zero(disk_.epoch(), 2 * kSector, kSector), 0);
  EXPECT_EQ(disk_.command("crash 0").substr(0, 6), "0 of 0");
  EXPECT_EQ(shown(3), "ab.");
}

TEST_F(LossyDisk, WhoOpenedItBeforeTheCutIsHeardNoMore) {
  const uint64_t before = disk_.epoch();
  disk_.command("crash 1");
  EXPECT_EQ(disk_.write(before, 0, kSector, filled(1, 'x').data()), -EIO);
  EXPECT_EQ(disk_.flush(before), -EIO);
  EXPECT_EQ(shown(1), ".");
}

TEST_F(LossyDisk, FailsTheRequestsThatWereNamed) {
  EXPECT_EQ(disk_.command("fail 2 2 w 0 2048"), "will fail");
  EXPECT_EQ(write(0, 1, 'a'), 0);
  EXPECT_EQ(write(8, 1, 'a'), 0);  // elsewhere
  EXPECT_EQ(flush(), 0);           // of another kind
  EXPECT_EQ(write(1, 1, 'a'), -EIO);
  EXPECT_EQ(write(3, 2, 'a'), -EIO);  // partly there
  EXPECT_EQ(write(2, 1, 'a'), 0);
  EXPECT_EQ(shown(4), "a.a.");
  EXPECT_EQ(disk_.command("well").substr(0, 18), "matched 4 failed 2");
  EXPECT_EQ(disk_.command("fail 1 0 f 0 1"), "will fail");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(flush(), -EIO);  // from then on
  EXPECT_EQ(disk_.command("nonsense"), "error: no such command");
  EXPECT_EQ(disk_.command("fail 1"), "error: no such command");
}

TEST_F(LossyDisk, WritesBackBeforeItHoldsTooMuch) {
  for (size_t i = 0; i <= kMostVersions; ++i) EXPECT_EQ(write(0, 1, i == kMostVersions ? 'z' : 'a'), 0);
  EXPECT_EQ(disk_.command("crash 0").substr(2, 4), "of 1");  // only the last one is not durable
}

TEST_F(LossyDisk, RefusesWhatIsNoSector) {
  EXPECT_EQ(disk_.write(disk_.epoch(), 100, kSector, filled(1, 'x').data()), -EINVAL);
  EXPECT_EQ(disk_.write(disk_.epoch(), 63 * kSector, 2 * kSector, filled(2, 'x').data()), -EINVAL);
}

}  // namespace
}  // namespace lockstep::lossy
