#include "shell/metadata_attach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/shell/meta_fakes.h"

namespace lockstep {
namespace {

using fakes::FakeMetadataIo;
using fakes::Formatted;
using testing::HasSubstr;

TEST(AttachMetadata, OpensANewStart) {
  Formatted f;
  for (uint64_t start = 1; start <= 3; ++start) {
    const AttachOutcome outcome = f.attach();
    ASSERT_TRUE(outcome.attached) << outcome.error.text;
    const NodeRecord& record = outcome.attached->loaded.record;
    EXPECT_EQ(record.start(), start);
    EXPECT_EQ(record.boot, f.expectation().boot);
    FakeMetadataIo io(f.image);
    EXPECT_EQ(read_superblock(io, Placement::internal).superblock.record, record);  // durable
    EXPECT_EQ(outcome.attached->loaded.intent.size(), f.layout.extents());
    EXPECT_EQ(outcome.attached->loaded.intent.count(), 0u);
  }
}

TEST(AttachMetadata, RefusesWhatBelongsElsewhere) {
  Formatted f;
  const std::vector<std::byte> before = f.image;
  const auto expect_refused = [&](auto&& change, MetaStatus status, const char* words) {
    MetadataExpectation e = f.expectation();
    change(e);
    FakeMetadataIo io(f.image);
    const AttachOutcome outcome = attach_metadata(io, e);
    ASSERT_FALSE(outcome.attached);
    EXPECT_EQ(outcome.error.status, status);
    EXPECT_THAT(outcome.error.text, HasSubstr(words));
    EXPECT_TRUE(f.image == before);  // nothing was written
  };
  expect_refused([](auto& e) { e.resource = Uuid::from_words(7, 7); }, MetaStatus::other_resource, "another resource");
  expect_refused([](auto& e) { e.node = {2}; }, MetaStatus::other_node, "node-id 0, this node has 2");
  expect_refused([](auto& e) { e.volume = 1; }, MetaStatus::other_volume, "volume 0, not 1");
  expect_refused([](auto& e) { e.data_device_bytes *= 2; }, MetaStatus::layout_mismatch, "another size");
  expect_refused([](auto& e) { e.peers.insert({9}); }, MetaStatus::device_too_small, "node ids 0 to 3");
  expect_refused([](auto& e) { e.placement = Placement::external; }, MetaStatus::no_metadata, "create-md");
}

TEST(AttachMetadata, ResizedDeviceIsNotTakenForEmptySilently) {
  Formatted f;
  f.image.resize(f.image.size() + 65536);
  const AttachOutcome outcome = f.attach();
  EXPECT_EQ(outcome.error.status, MetaStatus::no_metadata);
  EXPECT_THAT(outcome.error.text, HasSubstr("move-md"));
}

TEST(AttachMetadata, UnreadableCopyIsRewritten) {
  Formatted f;
  FakeMetadataIo io(f.image);
  io.bad_sectors = {f.layout.superblock_copy(1), f.layout.superblock_copy(2)};
  const AttachOutcome outcome = attach_metadata(io, f.expectation());
  ASSERT_TRUE(outcome.attached) << outcome.error.text;
  EXPECT_EQ(outcome.attached->found[1], CopyState::unreadable);
  EXPECT_EQ(outcome.attached->repaired_copies, 2u);
}

TEST(AttachMetadata, FailedOrInterruptedWriteRefusesAndLosesNothing) {
  for (int writes = 0; writes < 4; ++writes) {
    Formatted f;
    f.image[f.layout.superblock_copy(0) + 100] ^= std::byte{1};  // one repair and two halves: three writes
    FakeMetadataIo io(f.image);
    io.writes_left = writes;
    const AttachOutcome outcome = attach_metadata(io, f.expectation());
    EXPECT_EQ(outcome.attached.has_value(), writes == 3);
    EXPECT_EQ(outcome.error.os, outcome.attached ? 0 : EIO);
    EXPECT_TRUE(f.attach().attached);
  }
}

TEST(AttachMetadata, OneBadSectorCostsOnePage) {
  Formatted f;
  FakeMetadataIo io(f.image);
  io.bad_sectors = {f.layout.bitmap_page({1}, 0), f.layout.intent_slot(0, 0)};
  const AttachOutcome outcome = attach_metadata(io, f.expectation());
  ASSERT_TRUE(outcome.attached);
  EXPECT_EQ(outcome.attached->unreadable_bitmap_pages, 1u);
  EXPECT_EQ(outcome.attached->unreadable_intent_pages, 1u);
  EXPECT_EQ(outcome.attached->loaded.bitmaps[1].count(), f.layout.blocks());
  EXPECT_EQ(outcome.attached->loaded.bitmaps[2].count(), 0u);
  EXPECT_EQ(outcome.attached->loaded.intent.count(), f.layout.extents());
}

TEST(AttachMetadata, ExternalDataDeviceMayGrowAndNotShrink) {
  std::vector<std::byte> image(1024 * 1024);
  Superblock first;
  first.sequence = 1;
  first.layout = make_layout(Placement::external, Formatted::kBytes, image.size(), 4).layout;
  first.record.disk = Uuid::from_words(0xd, 1);
  first.record.node = {0};
  first.record.resource = Formatted().expectation().resource;
  first.record.size_bytes = first.layout.data_bytes;
  FakeMetadataIo io(image);
  ASSERT_EQ(write_superblock(io, first), 0);
  MetadataExpectation e = Formatted().expectation();
  e.placement = Placement::external;
  e.data_device_bytes = Formatted::kBytes * 2;
  EXPECT_TRUE(attach_metadata(io, e).attached);
  e.data_device_bytes = Formatted::kBytes - 4096;
  EXPECT_EQ(attach_metadata(io, e).error.status, MetaStatus::layout_mismatch);
}

}  // namespace
}  // namespace lockstep
