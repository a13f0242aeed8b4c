#include "shell/metadata_tool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/endian.h"
#include "core/volumes.h"
#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_move.h"
#include "shell/volume_labels.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMiB = 1024 * 1024;

class MetadataTool : public testing::Test {
 protected:
  MetadataTool() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-meta-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    disk = (directory / "disk").string();
    meta = (directory / "meta").string();
    resize(disk, 64 * kMiB);
  }
  ~MetadataTool() override { std::filesystem::remove_all(directory); }

  static void resize(const std::string& path, uint64_t bytes) {
    std::ofstream(path, std::ios::app).close();
    std::filesystem::resize_file(path, bytes);
  }
  static void poke(const std::string& path, uint64_t offset, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << bytes;
  }
  static bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

  MetadataTarget internal() const { return {disk, {}}; }
  MetadataTarget external() const { return {disk, meta}; }
  AttachOutcome attach(const MetadataTarget& target, MetadataOwner who) const {
    OpenedDevice device = open_device(target.meta_path()).value();
    FdMetadataIo io(device);
    MetadataExpectation e;
    e.resource = who.resource;
    e.node = who.node;
    e.volume = who.volume;
    e.placement = target.placement();
    e.data_device_bytes = std::filesystem::file_size(target.disk);
    e.peers = {Seat{0}, Seat{1}};
    e.boot = Uuid::from_words(3, 3);
    AttachOutcome outcome = attach_metadata(io, e);
    close_device(device);
    return outcome;
  }

  std::filesystem::path directory;
  std::string disk;
  std::string meta;
  MetadataOwner owner{Uuid::from_words(0x77, 1), {1}, 0};
};

TEST_F(MetadataTool, NoFileIsMadeAmongTheDevices) {
  const MetadataTarget target{disk, "/dev/no-such-device-for-lockstep"};
  const ToolResult refused = create_md(target, {Uuid::from_words(1, 2), {0}, 0}, {});
  EXPECT_EQ(refused.exit_status, 16);
  EXPECT_THAT(refused.err, HasSubstr("No such file or directory"));
  EXPECT_THAT(refused.err, HasSubstr("meta-disk"));
  EXPECT_FALSE(std::filesystem::exists(target.meta_disk));
}

TEST_F(MetadataTool, CreatesInternalMetadataThatAttaches) {
  const ToolResult made = create_md(internal(), owner, {});
  ASSERT_EQ(made.exit_status, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("internal"));
  const AttachOutcome outcome = attach(internal(), owner);
  ASSERT_TRUE(outcome.attached) << outcome.error.text;
  const Loaded& loaded = outcome.attached->loaded;
  EXPECT_NE(loaded.record.start(), 0u);  // from a random base
  EXPECT_FALSE(loaded.record.disk.is_nil());
  EXPECT_FALSE(loaded.record.acceptor.acceptor.is_nil());
  EXPECT_NE(loaded.record.disk, loaded.record.acceptor.acceptor);
  EXPECT_EQ(loaded.record.size_bytes % 4096, 0u);
  EXPECT_GT(loaded.record.size_bytes, 63 * kMiB);
  EXPECT_FALSE(loaded.record.adopted.has_value());
  EXPECT_EQ(loaded.bitmaps[0].count(), 0u);
  EXPECT_EQ(loaded.intent.count(), 0u);
  EXPECT_EQ(outcome.attached->unreadable_intent_pages + outcome.attached->unreadable_bitmap_pages, 0u);
}

TEST_F(MetadataTool, CreatesMetadataForAllVolumesAndLabelsTheirDisks) {
  MetadataTarget target = internal();
  for (const uint16_t number : {uint16_t{2}, uint16_t{5}}) {
    target.others.push_back({number, (directory / std::to_string(number)).string()});
    std::ofstream(target.others.back().disk);
    resize(target.others.back().disk, (number + 1) * kMiB + 77);
  }
  const ToolResult made = create_md(target, owner, {.digests = true});
  ASSERT_EQ(made.exit_status, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("Volume 5"));
  const AttachOutcome outcome = attach(internal(), owner);
  ASSERT_TRUE(outcome.attached) << outcome.error.text;
  const NodeRecord& record = outcome.attached->loaded.record;
  ASSERT_EQ(record.volumes.size(), 3u);
  EXPECT_EQ(record.volumes[2].number, 5);
  EXPECT_EQ(record.volumes[2].size_bytes, 6 * kMiB - 16384);
  EXPECT_EQ(record.size_bytes, span_of(record.volumes));
  EXPECT_GE(outcome.attached->loaded.intent.size() * kExtentBytes, record.size_bytes);

  for (size_t i = 0; i < 2; ++i) {
    OpenedDevice device = open_device(target.others[i].disk).value();
    FdMetadataIo io(device);
    EXPECT_FALSE(why_not_labelled(io, "", record, record.volumes[i + 1]))
        << why_not_labelled(io, "", record, record.volumes[i + 1])->text;
    const auto wrong = why_not_labelled(io, "disk", record, record.volumes[2 - i]);
    ASSERT_TRUE(wrong);
    EXPECT_EQ(wrong->status, MetaStatus::other_volume);
    NodeRecord later = record;
    later.disk = Uuid::from_words(1, 1);
    EXPECT_THAT(why_not_labelled(io, "disk", later, record.volumes[i + 1])->text, HasSubstr("another time"));
    close_device(device);
  }
  EXPECT_FALSE(why_other_volumes(record, {0, 2, 5}));
  EXPECT_THAT(why_other_volumes(record, {0, 2})->text, HasSubstr("volumes 0, 2, 5, and the configuration has 0, 2"));

  // One of the four labels is enough.
  for (uint64_t copy = 0; copy < 3; ++copy) poke(target.others[0].disk, 3 * kMiB - 16384 + copy * 4096, std::string(4096, 'x'));
  OpenedDevice device = open_device(target.others[0].disk).value();
  FdMetadataIo io(device);
  EXPECT_FALSE(why_not_labelled(io, "", record, record.volumes[1]));
  close_device(device);

  EXPECT_EQ(create_md(target, owner, {}).exit_status, 20);
  const ToolResult moved = move_md(external(), owner, {});
  EXPECT_EQ(moved.exit_status, 20);
  EXPECT_THAT(moved.err, HasSubstr("metadata of 3 volumes")) << "also where the configuration names one";
  EXPECT_TRUE(attach(internal(), owner).attached);
  EXPECT_EQ(create_md({target.others[1].disk, {}, {}}, owner, {}).exit_status, 20) << "a label is somebody's metadata";
  EXPECT_EQ(wipe_md(target, {Uuid::from_words(9, 9), {1}, 0}, false).exit_status, 20);
  MetadataTarget one_gone = target;
  one_gone.others[0].disk = (directory / "gone").string();
  EXPECT_EQ(wipe_md(one_gone, owner, false).exit_status, 16);
  EXPECT_TRUE(attach(internal(), owner).attached) << "nothing was wiped";
  const ToolResult forced = wipe_md(one_gone, owner, true);
  EXPECT_EQ(forced.exit_status, 0);
  EXPECT_THAT(forced.err, HasSubstr("volume 2 was not wiped"));
  EXPECT_EQ(wipe_md(target, owner, false).exit_status, 0) << "the label that was left";
  EXPECT_EQ(create_md({target.others[1].disk, {}, {}}, owner, {}).exit_status, 0);
}

TEST_F(MetadataTool, RefusesAVolumeWhoseDiskHasSomethingOrIsTooSmall) {
  MetadataTarget target = internal();
  target.others.push_back({1, (directory / "one").string()});
  std::ofstream(target.others[0].disk);
  resize(target.others[0].disk, 8 * kMiB);
  if (!run("mkfs.ext4 -q -F " + target.others[0].disk)) GTEST_SKIP() << "no mkfs.ext4";
  const ToolResult refused = create_md(target, owner, {});
  EXPECT_EQ(refused.exit_status, 20);
  EXPECT_THAT(refused.err, HasSubstr("ext4 file system"));
  EXPECT_FALSE(attach(internal(), owner).attached) << "nothing was written";
  ASSERT_TRUE(run("mkfs.ext4 -q -F " + target.others[0].disk + " 4M"));
  EXPECT_EQ(create_md(target, owner, {}).exit_status, 0) << "it ends before the label";
  resize(target.others[0].disk, 4096);
  EXPECT_THAT(create_md(target, owner, {.force = true}).err, HasSubstr("too small"));
}

TEST_F(MetadataTool, CreatesTheExternalFileInTheSizeNeeded) {
  resize(disk, 64 * kMiB + 1000);
  const ToolResult made = create_md(external(), owner, {});
  ASSERT_EQ(made.exit_status, 0) << made.err;
  const AttachOutcome outcome = attach(external(), owner);
  ASSERT_TRUE(outcome.attached) << outcome.error.text;
  EXPECT_EQ(outcome.attached->loaded.record.size_bytes, 64 * kMiB);
  EXPECT_EQ(std::filesystem::file_size(meta), outcome.attached->chain.last.layout.metadata_bytes());
}

TEST_F(MetadataTool, CreatesRoomForDigestsWhenAsked) {
  const ToolResult made = create_md(internal(), owner, {.digests = true});
  ASSERT_EQ(made.exit_status, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("internal, with block digests, "));
  const AttachOutcome inside = attach(internal(), owner);
  ASSERT_TRUE(inside.attached) << inside.error.text;
  const Layout layout = inside.attached->chain.last.layout;
  EXPECT_EQ(layout, make_layout(Placement::internal, 64 * kMiB, 0, 8, true).layout);
  EXPECT_EQ(wipe_md(internal(), owner, false).exit_status, 0);

  ASSERT_EQ(create_md(external(), owner, {.digests = true}).exit_status, 0);
  const AttachOutcome outside = attach(external(), owner);
  ASSERT_TRUE(outside.attached) << outside.error.text;
  EXPECT_EQ(outside.attached->chain.last.layout.digest_pages(), 80u);
  EXPECT_EQ(std::filesystem::file_size(meta), outside.attached->chain.last.layout.metadata_bytes());
}

TEST_F(MetadataTool, SaysWhatTheMetadataTakesWhenItsDeviceIsTooSmall) {
  const uint64_t plain = make_layout(Placement::external, 64 * kMiB, kMiB, 8).layout.metadata_bytes();
  const uint64_t rich = make_layout(Placement::external, 64 * kMiB, kMiB, 8, true).layout.metadata_bytes();
  resize(meta, plain);
  const ToolResult refused = create_md(external(), owner, {.digests = true});
  EXPECT_EQ(refused.exit_status, 20);
  EXPECT_THAT(refused.err, HasSubstr("too small"));
  EXPECT_THAT(refused.err, HasSubstr("takes " + std::to_string(rich)));
  EXPECT_EQ(create_md(external(), owner, {}).exit_status, 0);
  resize(disk, 128 * 1024);
  EXPECT_THAT(create_md(internal(), owner, {.digests = true}).err, HasSubstr("too small"));
  EXPECT_EQ(create_md(internal(), owner, {}).exit_status, 0);
}

TEST_F(MetadataTool, RefusesItsOwnMetadataWithoutForce) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  const AttachOutcome first = attach(internal(), owner);
  const ToolResult again = create_md(internal(), owner, {});
  EXPECT_EQ(again.exit_status, 20);
  EXPECT_THAT(again.err, HasSubstr("Lockstep metadata"));
  EXPECT_THAT(again.err, HasSubstr("--force"));
  ASSERT_EQ(create_md(internal(), owner, {.force = true}).exit_status, 0);
  const AttachOutcome second = attach(internal(), owner);
  EXPECT_NE(second.attached->loaded.record.disk, first.attached->loaded.record.disk);
  EXPECT_NE(second.attached->loaded.record.start(), 0u);
}

TEST_F(MetadataTool, ExternalForceEndsInternalMetadata) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  EXPECT_EQ(create_md(external(), owner, {}).exit_status, 20);
  ASSERT_EQ(create_md(external(), owner, {.force = true}).exit_status, 0);
  EXPECT_FALSE(attach(internal(), owner).attached);
  EXPECT_TRUE(attach(external(), owner).attached);
}

TEST_F(MetadataTool, RefusesAFileSystemThatReachesIntoTheMetadata) {
  if (!run("mkfs.ext4 -q -F " + disk)) GTEST_SKIP() << "no mkfs.ext4";
  const ToolResult refused = create_md(internal(), owner, {});
  EXPECT_EQ(refused.exit_status, 20);
  EXPECT_THAT(refused.err, HasSubstr("ext4 file system of 67108864 bytes"));
  EXPECT_THAT(refused.err, HasSubstr("Nothing was written"));
  EXPECT_TRUE(run("e2fsck -fn " + disk));
  EXPECT_EQ(create_md(external(), owner, {}).exit_status, 0);  // the whole device stays data
  EXPECT_EQ(create_md(internal(), owner, {.force = true}).exit_status, 0);
}

TEST_F(MetadataTool, KeepsAFileSystemThatEndsBeforeTheMetadata) {
  if (!run("mkfs.ext4 -q -F " + disk + " 32M")) GTEST_SKIP() << "no mkfs.ext4";
  const ToolResult made = create_md(internal(), owner, {});
  EXPECT_EQ(made.exit_status, 0) << made.err;
  EXPECT_TRUE(run("e2fsck -fn " + disk));
}

TEST_F(MetadataTool, RefusesAFileSystemOnTheMetadataDevice) {
  resize(meta, 16 * kMiB);
  if (!run("mkfs.ext4 -q -F " + meta)) GTEST_SKIP() << "no mkfs.ext4";
  const ToolResult refused = create_md(external(), owner, {});
  EXPECT_EQ(refused.exit_status, 20);
  EXPECT_THAT(refused.err, HasSubstr("ext4"));
}

TEST_F(MetadataTool, RefusesDrbdsMetadata) {
  for (const char* magic : {"\x83\x74\x02\x6b", "\x83\x74\x02\x6d"}) {
    poke(disk, 64 * kMiB - 4096 + 60, std::string(magic, 4));
    const ToolResult refused = create_md(internal(), owner, {});
    EXPECT_EQ(refused.exit_status, 20);
    EXPECT_THAT(refused.err, HasSubstr("DRBD"));
    EXPECT_EQ(create_md(external(), owner, {}).exit_status, 20);
  }
}

TEST_F(MetadataTool, RefusesPartitionTablesAndSwap) {
  std::string mbr(512, '\0');
  mbr[446 + 4] = '\x83';
  mbr[446 + 9] = '\x08';
  mbr[446 + 13] = '\x10';
  mbr[510] = '\x55';
  mbr[511] = '\xaa';
  poke(disk, 0, mbr);
  const ToolResult table = create_md(internal(), owner, {});
  EXPECT_EQ(table.exit_status, 20);
  EXPECT_THAT(table.err, HasSubstr("partition table"));
  poke(disk, 0, std::string(512, '\0'));
  if (!run("/sbin/mkswap " + disk)) GTEST_SKIP() << "no mkswap";
  EXPECT_THAT(create_md(internal(), owner, {}).err, HasSubstr("swap"));
}

TEST_F(MetadataTool, RefusesADeviceInUse) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  OpenedDevice claimed = open_device(disk).value();
  for (const ToolResult& refused : {create_md(internal(), owner, {.force = true}), wipe_md(internal(), owner, true)}) {
    EXPECT_EQ(refused.exit_status, 20);
    EXPECT_THAT(refused.err, HasSubstr("in use"));
  }
  EXPECT_EQ(dump_md(internal(), false).exit_status, 0);  // only looks
  close_device(claimed);
}

TEST_F(MetadataTool, RefusesWhatCannotBe) {
  resize(disk, 65536);
  EXPECT_THAT(create_md(internal(), owner, {}).err, HasSubstr("too small"));
  EXPECT_EQ(create_md({disk + "-missing", {}}, owner, {}).exit_status, 16);
  EXPECT_EQ(create_md({"/dev/null", {}}, owner, {}).exit_status, 16);
  EXPECT_EQ(create_md({disk, disk}, owner, {}).exit_status, 10);
  EXPECT_EQ(create_md(internal(), owner, {.max_peers = 16}).exit_status, 10);
  owner.node = {9};
  EXPECT_THAT(create_md(internal(), owner, {}).err, HasSubstr("max-peers"));
}

TEST_F(MetadataTool, WipesOnlyWhatIsOurs) {
  EXPECT_THAT(wipe_md(internal(), owner, false).out, HasSubstr("no Lockstep metadata"));
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  MetadataOwner other = owner;
  other.resource = Uuid::from_words(1, 1);
  const ToolResult refused = wipe_md(internal(), other, false);
  EXPECT_EQ(refused.exit_status, 20);
  EXPECT_THAT(refused.err, HasSubstr(owner.resource.to_string()));
  EXPECT_TRUE(attach(internal(), owner).attached);
  EXPECT_EQ(wipe_md(internal(), owner, false).exit_status, 0);
  EXPECT_EQ(attach(internal(), owner).error.status, MetaStatus::no_metadata);
  EXPECT_EQ(create_md(internal(), owner, {}).exit_status, 0);
}

TEST_F(MetadataTool, DumpsTextAndJson) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  const ToolResult text = dump_md(internal(), false);
  EXPECT_EQ(text.exit_status, 0);
  EXPECT_THAT(text.out, HasSubstr(owner.resource.to_string()));
  const auto json = nlohmann::json::parse(dump_md(internal(), true).out);
  EXPECT_EQ(json["status"], "ok");
  EXPECT_EQ(json["node-id"], 1);
  EXPECT_EQ(json["peers"].size(), 7u);
  EXPECT_EQ(json["peers"][0]["dirty-blocks"], 0);
  EXPECT_EQ(json["superblock-copies"], nlohmann::json({"current", "current", "current", "current"}));
  EXPECT_TRUE(json["tenure"].is_null());
  EXPECT_EQ(json["intent"]["set-extents"], 0);
}

TEST_F(MetadataTool, DumpSaysWhetherThereAreDigests) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  const auto plain = nlohmann::json::parse(dump_md(internal(), true).out);
  EXPECT_EQ(plain["digests"], false);
  EXPECT_FALSE(plain["layout"].contains("digest-offset"));
  ASSERT_EQ(create_md(internal(), owner, {.force = true, .digests = true}).exit_status, 0);
  const auto rich = nlohmann::json::parse(dump_md(internal(), true).out);
  EXPECT_EQ(rich["digests"], true);
  EXPECT_EQ(rich["layout"]["digest-pages"], 80);
  EXPECT_EQ(rich["layout"]["digest-offset"], make_layout(Placement::internal, 64 * kMiB, 0, 8, true).layout.digest_offset);
  EXPECT_THAT(dump_md(internal(), false).out, HasSubstr("\ndigests              true\n"));
}

TEST_F(MetadataTool, DumpTellsWhichCopiesAreDamaged) {
  ASSERT_EQ(create_md(internal(), owner, {}).exit_status, 0);
  poke(disk, 64 * kMiB - 4096 + 200, "rot");
  EXPECT_EQ(nlohmann::json::parse(dump_md(internal(), true).out)["superblock-copies"][3], "damaged");
  for (int copy = 1; copy < 4; ++copy) poke(disk, 64 * kMiB - 4096 * copy + 200, "rot");
  const ToolResult broken = dump_md(internal(), false);
  EXPECT_EQ(broken.exit_status, 20);
  EXPECT_THAT(broken.out, HasSubstr("damaged"));
  EXPECT_THAT(broken.err, HasSubstr("nothing vouches"));
  EXPECT_EQ(create_md(internal(), owner, {}).exit_status, 20);  // damaged metadata is still somebody's
  EXPECT_EQ(wipe_md(internal(), owner, false).exit_status, 20);
  EXPECT_EQ(wipe_md(internal(), owner, true).exit_status, 0);
}

TEST_F(MetadataTool, DumpOfNothing) {
  const ToolResult nothing = dump_md(internal(), true);
  EXPECT_EQ(nothing.exit_status, 20);
  EXPECT_EQ(nlohmann::json::parse(nothing.out)["status"], "no-metadata");
  EXPECT_EQ(dump_md({disk + "-missing", {}}, false).exit_status, 16);
}

}  // namespace
}  // namespace lockstep
