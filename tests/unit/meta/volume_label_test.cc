#include "meta/volume_label.h"

#include <gtest/gtest.h>

#include "base/endian.h"
#include "tests/unit/meta/meta_samples.h"

namespace lockstep {
namespace {

VolumeLabel sample() { return {Uuid::from_words(0xd15c, 0xd15d), Uuid::from_words(7, 8), {1}, 3, 20 * samples::kMiB}; }

Sector encoded(const VolumeLabel& label) {
  Sector sector;
  encode_volume_label(label, 2, SectorSpan(sector));
  return sector;
}

TEST(VolumeLabel, ComesBackAsItWas) {
  const DecodedLabel read = decode_volume_label(SectorView(encoded(sample())));
  ASSERT_EQ(read.status, MetaStatus::ok);
  EXPECT_EQ(read.label, sample());
  EXPECT_EQ(read.copy, 2);
}

TEST(VolumeLabel, NoSingleByteCanChangeUnnoticed) {
  const Sector sector = encoded(sample());
  for (size_t i = 0; i < sector.size(); ++i) {
    Sector damaged = sector;
    damaged[i] ^= std::byte{0x10};
    EXPECT_NE(decode_volume_label(SectorView(damaged)).status, MetaStatus::ok) << i;
  }
}

TEST(VolumeLabel, NonsenseWithAChecksumIsRefused) {
  const auto refused = [](const std::function<void(VolumeLabel&)>& change) {
    VolumeLabel label = sample();
    change(label);
    return decode_volume_label(SectorView(encoded(label))).status == MetaStatus::malformed;
  };
  EXPECT_FALSE(refused([](VolumeLabel&) {}));
  EXPECT_TRUE(refused([](VolumeLabel& label) { label.node.value = kMaxDataNodes; }));
  EXPECT_TRUE(refused([](VolumeLabel& label) { label.disk = {}; }));
  EXPECT_TRUE(refused([](VolumeLabel& label) { label.data_bytes = kMinDataBytes - 4096; }));
  EXPECT_TRUE(refused([](VolumeLabel& label) { ++label.data_bytes; }));
}

TEST(VolumeLabel, ASuperblockIsNone) {
  Sector sector;
  encode_superblock(samples::superblock(), 0, SectorSpan(sector));
  EXPECT_EQ(decode_volume_label(SectorView(sector)).status, MetaStatus::malformed);
  EXPECT_EQ(decode_superblock(SectorView(encoded(sample()))).status, MetaStatus::malformed);
}

TEST(VolumeLabel, LiesBehindTheData) {
  EXPECT_EQ(labelled_data_bytes(samples::kMiB + 513), samples::kMiB - kSuperblockCopies * kSectorBytes);
  EXPECT_EQ(labelled_data_bytes(kMinDataBytes), 0u);
  EXPECT_EQ(labelled_data_bytes(0), 0u);
}

}  // namespace
}  // namespace lockstep
