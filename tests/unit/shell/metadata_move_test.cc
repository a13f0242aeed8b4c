#include "shell/metadata_move.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"
#include "tests/unit/meta/meta_samples.h"
#include "tests/unit/shell/meta_fakes.h"

namespace lockstep {
namespace {

using fakes::FakeMetadataIo;
using fakes::Formatted;
using testing::HasSubstr;

constexpr uint64_t kMiB = 1024 * 1024;

// A device whose maps say something, that grew to twice its size.
struct Grown : Formatted {
  Grown() {
    bits = BitVector(layout.blocks());
    for (const uint64_t block : {1, 77, 3000}) bits.set(block);
    FakeMetadataIo io(image);
    AlignedBytes sector(kSectorBytes);
    encode_bit_page(bitmap_page_id({1}, 0, disk()), 0, bits.page(0), SectorSpan(sector.bytes()));
    EXPECT_EQ(io.write_durable(layout.bitmap_page({1}, 0), sector.bytes()), 0);
    BitVector hot(layout.extents());
    hot.set(2);
    encode_bit_page(intent_page_id(0, 6, disk()), 6, hot.page(0), SectorSpan(sector.bytes()));
    EXPECT_EQ(io.write_durable(layout.intent_slot(0, 0), sector.bytes()), 0);
    before = read_superblock(io, Placement::internal);
    image.resize(2 * kBytes);
    wanted = make_layout(Placement::internal, 2 * kBytes, 0, layout.bitmap_slots).layout;
  }
  Uuid disk() const { return Uuid::from_words(0xd, 1); }
  // The first part of the image, as it was.
  class Old : public FakeMetadataIo {
   public:
    using FakeMetadataIo::FakeMetadataIo;
    uint64_t size_bytes() const override { return kBytes; }
  };
  AttachOutcome attach_grown(Placement placement = Placement::internal) {
    FakeMetadataIo io(image);
    MetadataExpectation e = expectation();
    e.placement = placement;
    e.data_device_bytes = image.size();
    return attach_metadata(io, e);
  }
  void expect_all_there(const AttachOutcome& outcome) const {
    ASSERT_TRUE(outcome.attached) << outcome.error.text;
    const Loaded& loaded = outcome.attached->loaded;
    EXPECT_EQ(loaded.record.disk, before.superblock.record.disk);
    EXPECT_EQ(loaded.record.acceptor.acceptor, before.superblock.record.acceptor.acceptor);
    EXPECT_EQ(loaded.bitmaps[1].count(), 3U);
    for (const uint64_t block : {1, 77, 3000}) EXPECT_TRUE(loaded.bitmaps[1].test(block));
    EXPECT_TRUE(loaded.intent.test(2));
    EXPECT_EQ(loaded.intent.count(), 1U);
    EXPECT_EQ(loaded.intent_sequences[0], 6U);
    EXPECT_EQ(outcome.attached->unreadable_intent_pages + outcome.attached->unreadable_bitmap_pages, 0U);
  }
  BitVector bits;
  Quorum before;
  Layout wanted;
};

TEST(CopyMetadata, TakesAlongAllThatItSaysToTheEndOfADeviceThatGrew) {
  Grown f;
  ASSERT_FALSE(f.attach_grown().attached);
  Grown::Old from(f.image);
  FakeMetadataIo to(f.image);
  ASSERT_EQ(copy_metadata(from, f.before, to, f.wanted), 0);
  const AttachOutcome outcome = f.attach_grown();
  f.expect_all_there(outcome);
  EXPECT_EQ(outcome.attached->loaded.record.size_bytes, f.wanted.data_bytes);
}

// Wherever it stops, the old place has everything, and the same again completes the new one.
TEST(CopyMetadata, MayBeInterruptedAnywhere) {
  for (int writes = 0;; ++writes) {
    SCOPED_TRACE(writes);
    Grown f;
    Grown::Old from(f.image);
    FakeMetadataIo to(f.image);
    to.writes_left = writes;
    const int error = copy_metadata(from, f.before, to, f.wanted);
    FakeMetadataIo well(f.image);
    const Quorum here = read_superblock(from, Placement::internal);
    ASSERT_EQ(here.status, MetaStatus::ok);
    EXPECT_EQ(here.superblock, f.before.superblock);
    ASSERT_EQ(copy_metadata(from, here, well, f.wanted), 0);
    f.expect_all_there(f.attach_grown());
    if (error == 0) break;
    ASSERT_LT(writes, 100);
  }
}

// Any write may be the last: until the superblock is there, none of the pages at the new place counts.
TEST(CopyMetadata, TheSuperblockComesAfterTheDigests) {
  std::vector<std::byte> image(16 * kMiB);
  FakeMetadataIo from(image);
  Superblock first;
  first.sequence = 1;
  first.layout = make_layout(Placement::internal, image.size(), 0, 4, true).layout;
  first.record.node = {0};
  first.record.disk = Uuid::from_words(0xd, 1);
  ASSERT_EQ(write_superblock(from, first), 0);
  const Quorum old = read_superblock(from, Placement::internal);
  const Layout wanted = make_layout(Placement::external, image.size(), kMiB, 4, true).layout;
  int writes = 0;
  for (int error = EIO; error != 0; ++writes) {
    std::vector<std::byte> file(kMiB);
    std::fill(file.begin(), file.end(), std::byte{0xee});
    FakeMetadataIo to(file);
    to.writes_left = writes;
    error = copy_metadata(from, old, to, wanted);
    const bool there = read_superblock(to, Placement::external).status == MetaStatus::ok;
    const auto at = file.begin() + static_cast<std::ptrdiff_t>(wanted.digest_offset);
    const bool written = std::none_of(at, at + static_cast<std::ptrdiff_t>(wanted.digest_pages() * kSectorBytes),
                                      [](std::byte b) { return b == std::byte{0xee}; });
    EXPECT_TRUE(written || !there) << writes;
    EXPECT_EQ(error == 0, there && written && writes >= 6) << writes;
    ASSERT_LT(writes, 100);
  }
}

TEST(FormerSize, IsFoundFromTheEndBackwards) {
  Grown f;
  std::optional<uint64_t> size;
  FakeMetadataIo io(f.image);
  EXPECT_EQ(find_former_size(io, size), 0);
  EXPECT_EQ(size, Formatted::kBytes);
  f.image.resize(f.image.size() + 3 * kMiB + 512);
  size.reset();
  FakeMetadataIo odd(f.image);
  EXPECT_EQ(find_former_size(odd, size), 0);
  EXPECT_EQ(size, Formatted::kBytes);
  odd.bad_sectors.insert(f.image.size() / 2 / 4096 * 4096);
  EXPECT_EQ(find_former_size(odd, size), EIO);
  std::vector<std::byte> nothing(5 * kMiB);
  FakeMetadataIo empty(nothing);
  size.reset();
  EXPECT_EQ(find_former_size(empty, size), 0);
  EXPECT_EQ(size, std::nullopt);
}

// A backup of it among the data is none of it, wherever it lies.
TEST(FormerSize, AnImageOfMetadataAmongTheDataIsNone) {
  Formatted f;
  std::vector<std::byte> image(4 * Formatted::kBytes);
  std::copy_n(f.image.end() - 16384, 16384, image.begin() + 10 * kMiB);
  FakeMetadataIo io(image);
  std::optional<uint64_t> size;
  EXPECT_EQ(find_former_size(io, size), 0);
  EXPECT_EQ(size, std::nullopt);
}

class MoveMd : public testing::Test {
 protected:
  MoveMd() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-move-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    disk = (directory / "disk").string();
    meta = (directory / "meta").string();
    resize(64 * kMiB);
  }
  ~MoveMd() override { std::filesystem::remove_all(directory); }
  void resize(uint64_t bytes) const {
    std::ofstream(disk, std::ios::app).close();
    std::filesystem::resize_file(disk, bytes);
  }
  MetadataTarget internal() const { return {disk, {}}; }
  MetadataTarget external() const { return {disk, meta}; }
  Quorum look(const MetadataTarget& target) const {
    OpenedDevice device = open_device(target.meta_path()).value();
    FdMetadataIo io(device);
    const Quorum quorum = read_superblock(io, target.placement());
    close_device(device);
    return quorum;
  }
  // As a daemon writes it.
  void put_digests(const MetadataTarget& target, uint64_t page, uint64_t seed) const {
    const Superblock superblock = look(target).superblock;
    OpenedDevice device = open_device(target.meta_path()).value();
    AlignedBytes sector(kSectorBytes);
    encode_digest_page(page, superblock.record.disk, samples::digests(seed), SectorSpan(sector.bytes()));
    EXPECT_EQ(FdMetadataIo(device).write_durable(superblock.layout.digest_page(page), sector.bytes()), 0);
    close_device(device);
  }
  std::optional<DigestPage> digests(const MetadataTarget& target, uint64_t page) const {
    const Superblock superblock = look(target).superblock;
    OpenedDevice device = open_device(target.meta_path()).value();
    AlignedBytes sector(kSectorBytes);
    EXPECT_EQ(FdMetadataIo(device).read(superblock.layout.digest_page(page), sector.bytes()), 0);
    close_device(device);
    return decode_digest_page(page, superblock.record.disk, SectorView(sector.bytes()));
  }
  std::filesystem::path directory;
  std::string disk;
  std::string meta;
  MetadataOwner owner{Uuid::from_words(0x77, 1), {1}, 0};
};

TEST_F(MoveMd, DigestsGoAlongAndNoneOfAnEarlierStayIsBelieved) {
  ASSERT_EQ(create_md(internal(), owner, {.digests = true}).exit_status, 0);
  const Superblock before = look(internal()).superblock;
  put_digests(internal(), 3, 1);
  put_digests(internal(), 40, 2);
  const ToolResult out = move_md(external(), owner, {});
  ASSERT_EQ(out.exit_status, 0) << out.err;
  const Layout there = look(external()).superblock.layout;
  EXPECT_TRUE(there.digests);
  EXPECT_EQ(std::filesystem::file_size(meta), there.metadata_bytes());
  EXPECT_EQ(digests(external(), 3), samples::digests(1));
  EXPECT_EQ(digests(external(), 40), samples::digests(2));
  EXPECT_EQ(digests(external(), 41), std::nullopt);

  // What is at the end of the disk still is intact and names this disk; one of the two pages is not the latest, one is lost.
  put_digests(external(), 3, 7);
  std::fstream file(meta, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(there.digest_page(40) + 1000));
  file << "rot";
  file.close();
  const ToolResult back = move_md(internal(), owner, {.from = meta});
  ASSERT_EQ(back.exit_status, 0) << back.err;
  EXPECT_EQ(look(internal()).superblock.layout, before.layout);
  EXPECT_EQ(digests(internal(), 3), samples::digests(7));
  EXPECT_EQ(digests(internal(), 40), std::nullopt);
}

TEST_F(MoveMd, DigestsGoToTheEndOfAFileThatGrewByEnough) {
  ASSERT_EQ(create_md(internal(), owner, {.digests = true}).exit_status, 0);
  put_digests(internal(), 12, 1);
  resize(64 * kMiB + 128 * 1024);  // the maps would fit
  EXPECT_THAT(move_md(internal(), owner, {}).err, HasSubstr("grown by less"));
  resize(64 * kMiB);
  EXPECT_EQ(digests(internal(), 12), samples::digests(1)) << "it is untouched";
  resize(96 * kMiB);
  const ToolResult done = move_md(internal(), owner, {});
  ASSERT_EQ(done.exit_status, 0) << done.err;
  const Layout layout = look(internal()).superblock.layout;
  EXPECT_EQ(layout, make_layout(Placement::internal, 96 * kMiB, 0, 8, true).layout);
  EXPECT_EQ(digests(internal(), 12), samples::digests(1));
  EXPECT_EQ(digests(internal(), layout.digest_pages() - 1), std::nullopt);
}

TEST_F(MoveMd, TellsHowMuchTheMetadataTakesWithDigests) {
  ASSERT_EQ(create_md(internal(), owner, {.digests = true}).exit_status, 0);
  std::ofstream(meta).close();
  std::filesystem::resize_file(meta, 256 * 1024);
  const uint64_t needed = make_layout(Placement::external, 64 * kMiB, kMiB, 8, true).layout.metadata_bytes();
  const ToolResult refused = move_md(external(), owner, {});
  EXPECT_EQ(refused.exit_status, 20);
  EXPECT_THAT(refused.err, HasSubstr("takes " + std::to_string(needed)));
  EXPECT_EQ(look(internal()).status, MetaStatus::ok);
}

TEST_F(MoveMd, ToAFileOfItsOwnAndBack) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  const Superblock before = look(internal()).superblock;
  const ToolResult out = move_md(external(), owner, {});
  ASSERT_EQ(out.exit_status, 0) << out.err;
  EXPECT_THAT(out.out, HasSubstr("data area has 67108864 bytes"));
  EXPECT_EQ(look(internal()).status, MetaStatus::no_metadata);
  EXPECT_EQ(look(external()).superblock.record.disk, before.record.disk);
  const ToolResult back = move_md(internal(), owner, {.from = meta});
  ASSERT_EQ(back.exit_status, 0) << back.err;
  EXPECT_EQ(look(internal()).superblock.layout, before.layout);
  EXPECT_EQ(look(external()).status, MetaStatus::no_metadata);
}

TEST_F(MoveMd, ToTheEndOfAFileThatGrewAndOnlyOnce) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  resize(96 * kMiB);
  const ToolResult done = move_md(internal(), owner, {});
  ASSERT_EQ(done.exit_status, 0) << done.err;
  const Superblock there = look(internal()).superblock;
  EXPECT_GT(there.record.size_bytes, 64 * kMiB);
  EXPECT_EQ(move_md(internal(), owner, {}).exit_status, 0) << "there is nothing left to do";
  EXPECT_EQ(look(internal()).superblock, there);
  resize(128 * kMiB);
  EXPECT_EQ(move_md(internal(), owner, {{}, 64 * kMiB}).exit_status, 20);
  EXPECT_EQ(move_md(internal(), owner, {{}, 96 * kMiB}).exit_status, 0);
}

TEST_F(MoveMd, RefusesWhatWouldLoseSomething) {
  EXPECT_THAT(move_md(external(), owner, {}).err, HasSubstr("--from"));
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  const MetadataOwner other{Uuid::from_words(0x78, 1), {1}, 0};
  EXPECT_THAT(move_md(external(), other, {}).err, HasSubstr("belongs to resource id"));
  EXPECT_FALSE(std::filesystem::exists(meta)) << "nothing is made before it is known what for";
  std::ofstream(meta).close();
  std::filesystem::resize_file(meta, kMiB);
  EXPECT_THAT(move_md(external(), other, {}).err, HasSubstr("belongs to resource id"));
  resize(64 * kMiB + 8192);
  EXPECT_THAT(move_md(internal(), owner, {}).err, HasSubstr("grown by less"));
  EXPECT_THAT(move_md(external(), owner, {.from = meta}).err, HasSubstr("the new place"));
  resize(64 * kMiB);
  ASSERT_EQ(look(internal()).status, MetaStatus::ok) << "it is untouched";
  const MetadataTarget small{disk, meta};
  std::filesystem::resize_file(meta, 8192);
  EXPECT_EQ(move_md(small, owner, {}).exit_status, 20);
  EXPECT_EQ(look(internal()).status, MetaStatus::ok);
}

TEST_F(MoveMd, AVolumeThatWouldNotFitStaysWhereItIs) {
  ASSERT_EQ(create_md(external(), owner, {}).exit_status, 0);
  OpenedDevice device = open_device(meta).value();
  FdMetadataIo io(device);
  const Quorum quorum = read_superblock(io, Placement::external);
  NodeRecord record = quorum.superblock.record;
  record.adopted = samples::tenure(1);
  record.adopted->volumes.clear();
  record.adopted->volumes.push_back({0, 64 * kMiB});
  ASSERT_EQ(write_superblock(io, next_superblock({quorum.superblock, quorum.checksum}, record)), 0);
  close_device(device);
  EXPECT_THAT(move_md(internal(), owner, {.from = meta}).err, HasSubstr("the resource has 67108864"));
  EXPECT_EQ(look(external()).status, MetaStatus::ok);
  resize(80 * kMiB);
  const ToolResult done = move_md(internal(), owner, {.from = meta});
  EXPECT_EQ(done.exit_status, 0) << done.err;
}

// create-md had been run at the end of the grown disk, too: two lives, and nothing here knows which one counts.
TEST_F(MoveMd, MetadataOfAnotherLifeAtTheNewPlaceIsNotOverwritten) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  resize(96 * kMiB);
  ASSERT_EQ(create_md(internal(), owner, {.force = true}).exit_status, 0);
  const Superblock there = look(internal()).superblock;
  const ToolResult refused = move_md(internal(), owner, {});
  EXPECT_EQ(refused.exit_status, 20);
  EXPECT_THAT(refused.err, HasSubstr("already"));
  EXPECT_EQ(look(internal()).superblock, there);
}

// Power was lost in the middle of the last step, which clears four copies at once.
TEST_F(MoveMd, AClearThatWasTornIsFinished) {
  for (int copies = 1; copies <= 3; ++copies) {
    SCOPED_TRACE(copies);
    ASSERT_EQ(create_md(internal(), owner, {.force = true}).exit_status, 0);
    std::filesystem::remove(meta);
    std::string before(16384, 0);
    std::ifstream(disk, std::ios::binary).seekg(64 * kMiB - 16384).read(before.data(), 16384);
    ASSERT_EQ(move_md(external(), owner, {}).exit_status, 0);
    const Superblock there = look(external()).superblock;
    std::fstream file(disk, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(64 * kMiB - 16384);
    file.write(before.data(), copies * 4096);
    file.close();
    const ToolResult again = move_md(external(), owner, {});
    EXPECT_EQ(again.exit_status, 0) << again.err;
    EXPECT_EQ(look(external()).superblock, there);
    EXPECT_EQ(look(internal()).status, MetaStatus::no_metadata);
  }
}

// One copy of the new superblock had been written: nothing that would be missed.
TEST_F(MoveMd, WhatAnInterruptedMoveLeftAtTheNewPlaceIsNotInTheWay) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  const Superblock before = look(internal()).superblock;
  ASSERT_EQ(move_md(external(), owner, {}).exit_status, 0);
  OpenedDevice device = open_device(disk).value();
  FdMetadataIo io(device);
  ASSERT_EQ(write_superblock(io, before), 0);
  close_device(device);
  std::fstream file(meta, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(12288, 0);
  file.close();
  ASSERT_NE(look(external()).status, MetaStatus::ok);
  const ToolResult again = move_md(external(), owner, {});
  EXPECT_EQ(again.exit_status, 0) << again.err;
  EXPECT_EQ(look(external()).superblock.record.disk, before.record.disk);
}

}  // namespace
}  // namespace lockstep
