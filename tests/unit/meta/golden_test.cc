// The bytes on disk may not change without a new version number. To write new files (after raising
// kMetaVersion):
//   LOCKSTEP_WRITE_GOLDEN=1 unit_meta --gtest_filter='Golden.*'
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "meta/volume_label.h"
#include "tests/unit/meta/meta_samples.h"

namespace lockstep {
namespace {

std::string golden_path(const std::string& name) { return std::string(LOCKSTEP_SOURCE_DIR "/tests/unit/meta/golden/") + name; }

void expect_golden(const std::string& name, const Sector& sector) {
  const auto* bytes = reinterpret_cast<const char*>(sector.data());
  if (std::getenv("LOCKSTEP_WRITE_GOLDEN") != nullptr) {
    std::ofstream(golden_path(name), std::ios::binary).write(bytes, kSectorBytes);
  }
  std::ifstream file(golden_path(name), std::ios::binary);
  ASSERT_TRUE(file) << golden_path(name);
  const std::string stored{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(stored == std::string(bytes, kSectorBytes)) << name << ": the encoding has changed";
}

TEST(Golden, Superblock) {
  Sector sector;
  encode_superblock(samples::superblock(), 2, SectorSpan(sector));
  expect_golden("superblock.bin", sector);
}

TEST(Golden, ASuperblockOfSeveralVolumes) {
  Sector sector;
  encode_superblock(samples::superblock_of_volumes(), 0, SectorSpan(sector));
  expect_golden("superblock_of_volumes.bin", sector);
}

TEST(Golden, TheLabelOfAVolume) {
  Sector sector;
  encode_volume_label({Uuid::from_words(0xd15c, 0xd15d), Uuid::from_words(7, 8), {1}, 3, 20 * samples::kMiB}, 1,
                      SectorSpan(sector));
  expect_golden("volume_label.bin", sector);
}

// Written before runs were remembered: of those only the start counter is known.
TEST(Golden, ASuperblockFromBeforeRunsWereRemembered) {
  std::ifstream file(golden_path("superblock_before_runs.bin"), std::ios::binary);
  ASSERT_TRUE(file);
  const std::string stored{std::istreambuf_iterator<char>(file), {}};
  ASSERT_EQ(stored.size(), kSectorBytes);
  const auto decoded = decode_superblock(SectorView(reinterpret_cast<const std::byte*>(stored.data()), kSectorBytes));
  ASSERT_EQ(decoded.status, MetaStatus::ok);
  NodeRecord expected = samples::superblock().record;
  expected.given_up = {};
  expected.memory = {};
  expected.memory.lineage.start = 9;
  EXPECT_EQ(decoded.superblock.record, expected);
}

TEST(Golden, SuperblockWithDigests) {
  Sector sector;
  encode_superblock(samples::superblock_with_digests(), 2, SectorSpan(sector));
  expect_golden("superblock_digests.bin", sector);
  const DecodedSuperblock read = decode_superblock(SectorView(sector));
  EXPECT_EQ(read.superblock, samples::superblock_with_digests());
}

TEST(Golden, FreshSuperblock) {
  Superblock fresh;
  fresh.sequence = 1;
  fresh.layout = make_layout(Placement::external, samples::kMiB * 1000, samples::kMiB, 4).layout;
  fresh.record.node = {0};
  fresh.record.disk = Uuid::from_words(1, 2);
  fresh.record.size_bytes = fresh.layout.data_bytes;
  Sector sector;
  encode_superblock(fresh, 0, SectorSpan(sector));
  expect_golden("superblock_fresh.bin", sector);
}

TEST(Golden, IntentPage) {
  Sector sector;
  encode_bit_page(intent_page_id(1, 11, Uuid::from_words(1, 2)), 11, samples::bits(1), SectorSpan(sector));
  expect_golden("intent_page.bin", sector);
}

TEST(Golden, BitmapPage) {
  Sector sector;
  encode_bit_page(bitmap_page_id({3}, 2, Uuid::from_words(1, 2)), 0, samples::bits(2), SectorSpan(sector));
  expect_golden("bitmap_page.bin", sector);
}

TEST(Golden, DigestPage) {
  Sector sector;
  encode_digest_page(5 * 6 + 4, Uuid::from_words(1, 2), samples::digests(3), SectorSpan(sector));
  expect_golden("digest_page.bin", sector);
}

}  // namespace
}  // namespace lockstep
