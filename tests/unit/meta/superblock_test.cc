#include "meta/superblock.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/endian.h"
#include "tests/unit/meta/meta_samples.h"

namespace lockstep {
namespace {

Sector encoded(const Superblock& superblock, uint8_t copy = 3) {
  Sector sector;
  encode_superblock(superblock, copy, SectorSpan(sector));
  return sector;
}

DecodedSuperblock decoded(const Sector& sector) { return decode_superblock(SectorView(sector)); }

Sector with_features(Sector sector, uint32_t features) {
  put_le(payload_of(SectorSpan(sector)).data() + 4, features);
  reseal_sector(SectorSpan(sector));
  return sector;
}

TEST(Superblock, ComesBackAsItWas) {
  const Superblock written = samples::superblock();
  const DecodedSuperblock read = decoded(encoded(written));
  ASSERT_EQ(read.status, MetaStatus::ok);
  EXPECT_EQ(read.superblock, written);
  EXPECT_EQ(read.copy, 3);
}

TEST(Superblock, SaysWhichVolumesThereAre) {
  const Superblock written = samples::superblock_of_volumes();
  const Sector sector = encoded(written);
  const DecodedSuperblock read = decoded(sector);
  ASSERT_EQ(read.status, MetaStatus::ok);
  EXPECT_EQ(read.superblock, written);
  EXPECT_EQ(read.superblock.layout.beyond_bytes, written.layout.beyond_bytes);
  // A reader that does not know of volumes finds a feature that it does not know; one that is told of none finds another layout.
  EXPECT_EQ(get_le<uint32_t>(payload_of(SectorView(sector)).data() + 4), kFeatureVolumes);
  EXPECT_EQ(decoded(with_features(sector, 0)).status, MetaStatus::malformed);
  EXPECT_EQ(decoded(with_features(encoded(samples::superblock()), kFeatureVolumes)).status, MetaStatus::malformed);
}

TEST(Superblock, VolumesFitTheirLayout) {
  const auto refused = [](const std::function<void(Superblock&)>& change) {
    Superblock superblock = samples::superblock_of_volumes();
    change(superblock);
    return decoded(encoded(superblock)).status == MetaStatus::malformed;
  };
  EXPECT_FALSE(refused([](Superblock&) {}));
  EXPECT_TRUE(refused([](Superblock& s) { s.record.volumes[1].size_bytes += 4096; }));
  EXPECT_TRUE(refused([](Superblock& s) { s.record.volumes[0].size_bytes -= 4096; }));
  EXPECT_TRUE(refused([](Superblock& s) { s.record.size_bytes -= 4096; }));
  EXPECT_TRUE(refused([](Superblock& s) { s.volume = 1; }));
  EXPECT_TRUE(refused([](Superblock& s) { s.record.volumes[2].number = 3; }));
}

TEST(Superblock, SaysWhetherThereAreDigests) {
  const Superblock written = samples::superblock_with_digests();
  const DecodedSuperblock read = decoded(encoded(written));
  ASSERT_EQ(read.status, MetaStatus::ok);
  EXPECT_EQ(read.superblock, written);
  EXPECT_TRUE(read.superblock.layout.digests);
  EXPECT_NE(read.superblock.layout.digest_offset, 0u);

  Superblock outside = written;
  outside.layout = make_layout(Placement::external, 64 * samples::kMiB, samples::kMiB, 8, true).layout;
  EXPECT_EQ(decoded(encoded(outside)).superblock, outside);
}

TEST(Superblock, RefusesFeaturesThatItDoesNotKnow) {
  const Sector plain = encoded(samples::superblock());
  const Sector rich = encoded(samples::superblock_with_digests());
  ASSERT_EQ(decoded(with_features(plain, 0)).status, MetaStatus::ok);
  ASSERT_EQ(decoded(with_features(rich, kFeatureDigests)).status, MetaStatus::ok);
  for (uint32_t bit = 2; bit < 32; ++bit) {
    EXPECT_EQ(decoded(with_features(plain, uint32_t{1} << bit)).status, MetaStatus::unsupported_feature);
    EXPECT_EQ(decoded(with_features(rich, kFeatureDigests | uint32_t{1} << bit)).status, MetaStatus::unsupported_feature);
  }
  // The places are not those of a volume that has, or has no digests.
  EXPECT_EQ(decoded(with_features(plain, kFeatureDigests)).status, MetaStatus::malformed);
  EXPECT_EQ(decoded(with_features(rich, 0)).status, MetaStatus::malformed);
}

TEST(Superblock, FreshAndLargestRecordsComeBack) {
  Superblock fresh = samples::superblock();
  const uint64_t size = fresh.record.size_bytes;
  fresh.record = {};
  fresh.record.node = {0};
  fresh.record.disk = Uuid::from_words(1, 2);
  fresh.record.size_bytes = size;
  EXPECT_EQ(decoded(encoded(fresh)).superblock, fresh);

  Superblock large = samples::superblock();
  while (!large.record.adopted->voters.full()) large.record.adopted->voters.push_back({{9}, Uuid::from_words(9, 9)});
  for (uint16_t number = 9; !large.record.adopted->volumes.full(); ++number)
    large.record.adopted->volumes.push_back({number, uint64_t{1} << 56});
  large.record.acceptor.tenure = large.record.adopted;
  EXPECT_EQ(decoded(encoded(large)).superblock, large);
}

TEST(Superblock, CopiesShareOneChecksumAndWritesDoNot) {
  const Superblock one = samples::superblock();
  Superblock two = one;
  ++two.record.memory.lineage.start;
  EXPECT_EQ(decoded(encoded(one, 0)).checksum, decoded(encoded(one, 3)).checksum);
  EXPECT_NE(decoded(encoded(one)).checksum, decoded(encoded(two)).checksum);
}

TEST(Superblock, EverySingleBitFlipIsSeen) {
  Sector sector = encoded(samples::superblock());
  for (size_t bit = 0; bit < kSectorBytes * 8; ++bit) {
    sector[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    ASSERT_NE(decoded(sector).status, MetaStatus::ok) << "bit " << bit;
    sector[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
  }
  EXPECT_EQ(decoded(sector).status, MetaStatus::ok);
}

TEST(Superblock, TornSectorIsSeen) {
  const Sector before = encoded(samples::superblock(5));
  const Sector after = encoded(samples::superblock(6));
  for (unsigned pieces = 1; pieces < 255; ++pieces) {
    Sector torn = before;
    for (size_t i = 0; i < 8; ++i) {
      if ((pieces >> i & 1) != 0) std::copy_n(after.begin() + i * 512, 512, torn.begin() + i * 512);
    }
    const bool whole = torn == before || torn == after;
    EXPECT_EQ(decoded(torn).status == MetaStatus::ok, whole) << pieces;
  }
}

TEST(Superblock, SaysWhatIsWrong) {
  EXPECT_EQ(decoded(Sector{}).status, MetaStatus::no_metadata);

  Sector rotten = encoded(samples::superblock());
  rotten[2000] ^= std::byte{1};
  EXPECT_EQ(decoded(rotten).status, MetaStatus::damaged);

  Sector future = encoded(samples::superblock());
  put_le(future.data() + 12, uint16_t{kMetaVersion + 1});
  reseal_sector(SectorSpan(future));
  EXPECT_EQ(decoded(future).status, MetaStatus::unsupported_version);

  Superblock zero = samples::superblock();
  zero.sequence = 0;
  EXPECT_EQ(decoded(encoded(zero)).status, MetaStatus::malformed);

  Superblock moved = samples::superblock();
  moved.layout.intent_offset -= 4096;
  EXPECT_EQ(decoded(encoded(moved)).status, MetaStatus::malformed);

  Superblock oversized = samples::superblock();
  oversized.record.size_bytes = oversized.layout.data_bytes + 1;
  EXPECT_EQ(decoded(encoded(oversized)).status, MetaStatus::malformed);

  Superblock nobody = samples::superblock();
  nobody.record.node = {16};
  EXPECT_EQ(decoded(encoded(nobody)).status, MetaStatus::malformed);

  Sector page;
  encode_bit_page(intent_page_id(0, 0, samples::record().disk), 0, BitPage{}, SectorSpan(page));
  EXPECT_EQ(decoded(page).status, MetaStatus::malformed);
}

TEST(MetaStatus, EveryValueHasItsWords) {
  for (int i = 0; i <= static_cast<int>(MetaStatus::io_error); ++i) {
    const auto status = static_cast<MetaStatus>(i);
    EXPECT_FALSE(text_of(status).empty());
    EXPECT_FALSE(code_of(status).empty());
    EXPECT_EQ(remedy_of(status).empty(), status == MetaStatus::ok);
  }
}

}  // namespace
}  // namespace lockstep
