#include "meta/layout.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

void expect_in_order(const Layout& l) {
  const uint64_t end = l.meta_device_bytes;
  const uint64_t intent_end = l.intent_slot(l.intent_pages - 1, kIntentSlots - 1) + kSectorBytes;
  const uint64_t bitmap_end = l.bitmap_page({static_cast<uint8_t>(l.bitmap_slots - 1)}, l.bitmap_pages - 1) + kSectorBytes;
  const uint64_t super_end = l.superblock_copy(kSuperblockCopies);
  const uint64_t digest_end = l.digest_page(l.digest_pages());
  EXPECT_EQ(l.data_bytes % kSectorBytes, 0u);
  EXPECT_GE(uint64_t{l.intent_pages} * kBitsPerPage, l.extents());
  EXPECT_GE(uint64_t{l.bitmap_pages} * kBitsPerPage, l.blocks());
  EXPECT_LE(super_end, end);
  if (l.placement == Placement::internal) {
    EXPECT_LE(l.data_bytes, l.metadata_offset());
    EXPECT_EQ(l.metadata_offset(), l.digests ? l.digest_offset : l.bitmap_offset);
    EXPECT_EQ(l.digests ? digest_end : l.metadata_offset(), l.bitmap_offset);
    EXPECT_EQ(super_end - l.metadata_offset(), l.metadata_bytes());
    EXPECT_EQ(bitmap_end, l.intent_offset);
    EXPECT_EQ(intent_end, l.superblock_offset);
    EXPECT_GT(super_end + kSectorBytes, end);  // found from the size alone
  } else {
    EXPECT_EQ(l.superblock_offset, 0u);
    EXPECT_EQ(super_end, l.intent_offset);
    EXPECT_EQ(intent_end, l.bitmap_offset);
    EXPECT_EQ(l.metadata_offset(), 0u);
    EXPECT_EQ(l.digest_offset, l.digests ? bitmap_end : 0u);
    EXPECT_EQ(l.metadata_bytes(), l.digests ? digest_end : bitmap_end);
    EXPECT_LE(l.metadata_bytes(), end);
  }
  EXPECT_EQ(find_superblock(l.placement, end).offset, l.superblock_offset);
  EXPECT_EQ(l.digest_pages(), l.digests ? 5 * l.extents() : 0u);
}

TEST(Layout, PartsDoNotOverlapForAnySizeAndSlotCount) {
  for (const uint8_t slots : std::initializer_list<uint8_t>{2, 3, 8, 16}) {
    for (uint64_t bytes = kMinDataBytes + 64 * kSectorBytes; bytes < 900 * kGiB; bytes = bytes * 3 / 2 + 513) {
      const LayoutResult internal = make_layout(Placement::internal, bytes, 0, slots);
      ASSERT_EQ(internal.status, MetaStatus::ok) << bytes;
      expect_in_order(internal.layout);
      const LayoutResult external = make_layout(Placement::external, bytes, kGiB, slots);
      ASSERT_EQ(external.status, MetaStatus::ok) << bytes;
      EXPECT_EQ(external.layout.data_bytes, bytes / 4096 * 4096);
      expect_in_order(external.layout);
    }
  }
}

TEST(Layout, DigestsHaveAPlaceBesideTheBitmaps) {
  for (const uint8_t slots : std::initializer_list<uint8_t>{2, 8, 16}) {
    for (uint64_t bytes = kMinDataBytes + 64 * kSectorBytes; bytes < 900 * kGiB; bytes = bytes * 3 / 2 + 513) {
      const LayoutResult internal = make_layout(Placement::internal, bytes, 0, slots, true);
      ASSERT_EQ(internal.status, MetaStatus::ok) << bytes;
      ASSERT_TRUE(internal.layout.digests);
      expect_in_order(internal.layout);
      const LayoutResult external = make_layout(Placement::external, bytes, 8 * kGiB, slots, true);
      ASSERT_EQ(external.status, MetaStatus::ok) << bytes;
      EXPECT_EQ(external.layout.data_bytes, bytes / 4096 * 4096);
      expect_in_order(external.layout);
    }
  }
}

TEST(Layout, DigestsTakeHalfAPercentAndNothingElseMoves) {
  Layout with = make_layout(Placement::external, 100 * kGiB, kGiB, 8, true).layout;
  const Layout without = make_layout(Placement::external, 100 * kGiB, kGiB, 8).layout;
  EXPECT_EQ(with.metadata_bytes() - without.metadata_bytes(), uint64_t{5} * 25600 * 4096);
  with.digests = false;
  with.digest_offset = 0;
  EXPECT_EQ(with, without);

  const uint64_t end = 100 * kGiB;
  const Layout internal = make_layout(Placement::internal, end, 0, 8, true).layout;
  const Layout plain = make_layout(Placement::internal, end, 0, 8).layout;
  EXPECT_EQ(plain.data_bytes - internal.data_bytes, uint64_t{5} * 25600 * 4096);  // those of a data area of `end` bytes
  EXPECT_EQ(internal.superblock_offset, plain.superblock_offset);
}

// All maps lie with the lowest volume.
TEST(Layout, MapsCoverTheVolumesBehindTheLowest) {
  for (const uint64_t beyond : {kMinDataBytes, kGiB, 50 * kGiB + 4096}) {
    for (uint64_t bytes = 2 * kGiB; bytes < 800 * kGiB; bytes = bytes * 3 / 2 + 513) {
      for (const Placement placement : {Placement::internal, Placement::external}) {
        const LayoutResult made = make_layout(placement, bytes, 8 * kGiB, 8, true, beyond);
        ASSERT_EQ(made.status, MetaStatus::ok) << bytes;
        const Layout& l = made.layout;
        expect_in_order(l);
        EXPECT_EQ(l.span_bytes, (l.data_bytes + kExtentBytes - 1) / kExtentBytes * kExtentBytes + beyond);
        EXPECT_EQ(l.extents(), (l.span_bytes + kExtentBytes - 1) / kExtentBytes);
      }
    }
  }
  EXPECT_EQ(make_layout(Placement::external, kGiB, kGiB, 8, false, kMaxDataBytes).status, MetaStatus::device_too_large);
  EXPECT_EQ(make_layout(Placement::external, kGiB, kGiB, 8, false, UINT64_MAX - 5).status, MetaStatus::device_too_large);
}

TEST(Layout, InternalDataAreaIsNearlyAllOfTheDevice) {
  const Layout l = make_layout(Placement::internal, 100 * kGiB, 0, 8).layout;
  EXPECT_GT(l.data_bytes, 100 * kGiB - 40 * 1024 * 1024);
}

TEST(Layout, RefusesWhatIsTooSmallOrTooLarge) {
  EXPECT_EQ(make_layout(Placement::internal, 0, 0, 8).status, MetaStatus::device_too_small);
  EXPECT_EQ(make_layout(Placement::internal, 64 * 1024, 0, 8).status, MetaStatus::device_too_small);
  EXPECT_EQ(make_layout(Placement::internal, UINT64_MAX, 0, 8).status, MetaStatus::device_too_large);
  EXPECT_EQ(make_layout(Placement::external, kMaxDataBytes, kGiB, 8).status, MetaStatus::ok);
  EXPECT_EQ(make_layout(Placement::external, kMaxDataBytes + 4096, kGiB, 8).status, MetaStatus::device_too_large);
  EXPECT_EQ(make_layout(Placement::external, kGiB, 4096, 8).status, MetaStatus::device_too_small);
  EXPECT_EQ(make_layout(Placement::external, kGiB, kGiB, 17).status, MetaStatus::malformed);
  EXPECT_EQ(make_layout(Placement::external, kGiB, kGiB, 0).status, MetaStatus::malformed);
  EXPECT_FALSE(find_superblock(Placement::internal, 4 * 4096 - 1).fits);
}

TEST(Layout, ExternalFitsExactly) {
  const Layout l = make_layout(Placement::external, kGiB, kGiB, 8).layout;
  EXPECT_EQ(make_layout(Placement::external, kGiB, l.metadata_bytes(), 8).status, MetaStatus::ok);
  EXPECT_EQ(make_layout(Placement::external, kGiB, l.metadata_bytes() - 1, 8).status, MetaStatus::device_too_small);
  EXPECT_EQ(make_layout(Placement::external, kGiB, l.metadata_bytes(), 8, true).status, MetaStatus::device_too_small);
  const uint64_t needed = make_layout(Placement::external, kGiB, kGiB, 8, true).layout.metadata_bytes();
  EXPECT_EQ(make_layout(Placement::external, kGiB, needed, 8, true).status, MetaStatus::ok);
  EXPECT_EQ(make_layout(Placement::external, kGiB, needed - 1, 8, true).status, MetaStatus::device_too_small);
}

TEST(Layout, TheLargestVolumeMayHaveDigests) {
  const Layout l = make_layout(Placement::external, kMaxDataBytes, 8 * kGiB, kMaxDataNodes, true).layout;
  expect_in_order(l);
  EXPECT_EQ(l.digest_pages(), 1'280'000u);
  EXPECT_EQ(make_layout(Placement::internal, UINT64_MAX, 0, 8, true).status, MetaStatus::device_too_large);
  EXPECT_EQ(make_layout(Placement::internal, 128 * 1024, 0, 8, true).status, MetaStatus::device_too_small);
  EXPECT_EQ(make_layout(Placement::internal, 128 * 1024, 0, 8).status, MetaStatus::ok);
}

}  // namespace
}  // namespace lockstep
