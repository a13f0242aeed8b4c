#include "shell/metadata_tool.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/volumes.h"
#include "meta/bit_page.h"
#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_devices.h"
#include "shell/metadata_obstacles.h"
#include "shell/metadata_pages.h"
#include "shell/metadata_probe.h"
#include "shell/volume_labels.h"

namespace lockstep {

namespace {

bool draw_uuid(Uuid& uuid) {
  return getrandom(uuid.bytes.data(), uuid.bytes.size(), 0) == static_cast<ssize_t>(uuid.bytes.size());
}

int write_clean_intent(MetadataIo& io, const Layout& layout, const Uuid& disk) {
  PageWriter writer(io, layout.intent_offset);
  for (uint32_t page = 0; page < layout.intent_pages; ++page) {
    for (uint64_t sequence = 0; sequence < kIntentSlots; ++sequence) {
      const int error = writer.add(intent_page_id(page, sequence, disk), sequence, BitPage{});
      if (error != 0) return error;
    }
  }
  return writer.flush();
}

int write_clean_bitmaps(MetadataIo& io, const Layout& layout, const Uuid& disk) {
  PageWriter writer(io, layout.bitmap_offset);
  for (uint8_t peer = 0; peer < layout.bitmap_slots; ++peer) {
    for (uint32_t page = 0; page < layout.bitmap_pages; ++page) {
      const int error = writer.add(bitmap_page_id({peer}, page, disk), 0, BitPage{});
      if (error != 0) return error;
    }
  }
  return writer.flush();
}

// Where it went wrong, or 0.
struct Failed {
  int error = 0;
  std::string path;
};

Failed write_labels(const MetadataTarget& target, const Claimed& claimed, const NodeRecord& record) {
  for (size_t i = 0; i < target.others.size(); ++i) {
    FdMetadataIo io(claimed.others[i]);
    const VolumeShape& shape = record.volumes[i + 1];
    const int error = write_label(io, {record.disk, record.resource, record.node, shape.number, shape.size_bytes});
    if (error != 0) return {error, target.others[i].disk};
  }
  return {};
}

// Old superblock away, labels, pages, new superblock: a crash in between leaves a resource without metadata, never
// a mixture. Pages of digests need not be written: those of an earlier life name another disk.
Failed write_everything(const MetadataTarget& target, Claimed& claimed, const Superblock& superblock) {
  FdMetadataIo io(claimed.metadata(target.placement()));
  const Layout& layout = superblock.layout;
  const Uuid& disk = superblock.record.disk;
  int error = clear_superblock(io, layout.placement);
  if (error == 0) {
    Failed labels = write_labels(target, claimed, superblock.record);
    if (labels.error != 0) return labels;
  }
  if (error == 0) error = write_clean_intent(io, layout, disk);
  if (error == 0) error = write_clean_bitmaps(io, layout, disk);
  if (error == 0) error = write_superblock(io, superblock);
  return {error, target.meta_path()};
}

Superblock first_superblock(const Layout& layout, const MetadataOwner& owner, const VolumeShapes& behind, const Uuid& disk,
                            const Uuid& acceptor) {
  Superblock superblock;
  superblock.sequence = 1;
  superblock.volume = owner.volume;
  superblock.layout = layout;
  superblock.record.resource = owner.resource;
  superblock.record.node = owner.node;
  superblock.record.disk = disk;
  superblock.record.size_bytes = layout.span_bytes;
  if (!behind.empty()) {
    superblock.record.volumes.push_back({owner.volume, layout.data_bytes});
    for (const VolumeShape& shape : behind) superblock.record.volumes.push_back(shape);
  }
  superblock.record.acceptor.acceptor = acceptor;
  // Starts count from a random base: a node whose metadata is made anew never repeats a start, and so neither a ballot nor the name
  // under which the disk before held a tenure.
  superblock.record.memory.lineage.start = uint64_t{acceptor.bytes[0]} << 56 >> 8 | uint64_t{acceptor.bytes[1]} << 40 |
                                           uint64_t{acceptor.bytes[2]} << 32 | uint64_t{acceptor.bytes[3]} << 24;
  return superblock;
}

ToolResult write_new_metadata(const MetadataTarget& target, const MetadataOwner& owner, const Layout& layout,
                              const VolumeShapes& behind, Claimed& claimed) {
  Uuid disk;
  Uuid acceptor;
  if (!draw_uuid(disk) || !draw_uuid(acceptor)) return refuse_io("getrandom", errno);
  if (target.placement() == Placement::external) {
    // With --force: internal metadata of an earlier life must not be found by a configuration that says
    // "internal" again.
    const Result<std::vector<Found>> found = probe_device(target.disk);
    if (!found.ok()) return refuse_io(target.disk, found.error().os);
    FdMetadataIo data_io(claimed.data);
    for (const Found& item : found.value()) {
      if (item.kind != FoundKind::own_internal) continue;
      const int error = clear_superblock(data_io, Placement::internal);
      if (error != 0) return refuse_io(target.disk, error);
    }
  }
  const Failed failed = write_everything(target, claimed, first_superblock(layout, owner, behind, disk, acceptor));
  if (failed.error != 0) return refuse_io(failed.path, failed.error);
  std::string others;
  for (size_t i = 0; i < behind.size(); ++i)
    others +=
        fmt::format("Volume {}: data area of {} bytes on {}.\n", behind[i].number, behind[i].size_bytes, target.others[i].disk);
  return {
      0,
      fmt::format("New Lockstep metadata was written to {} ({}{}, {} bytes; data area of {} bytes, disk {}).\n",
                  target.meta_path(), target.placement() == Placement::internal ? "internal" : "external",
                  layout.digests ? ", with block digests" : "", layout.metadata_bytes(), layout.data_bytes, disk.to_string()) +
          others,
      {}};
}

// On every device of the resource; `obstacles` is left empty if there are none.
std::optional<ToolResult> look_for_obstacles(const MetadataTarget& target, const Layout& layout, const VolumeShapes& behind,
                                             std::string& obstacles) {
  const Result<std::string> lowest = find_obstacles(target, layout);
  if (!lowest.ok()) return refuse_io(target.meta_path(), lowest.error().os);
  obstacles = lowest.value();
  for (size_t i = 0; i < behind.size(); ++i) {
    Layout labelled;  // all that is written to that disk lies behind its data
    labelled.placement = Placement::internal;
    labelled.data_bytes = behind[i].size_bytes;
    const Result<std::string> other = find_obstacles({target.others[i].disk, {}}, labelled);
    if (!other.ok()) return refuse_io(target.others[i].disk, other.error().os);
    obstacles += other.value();
  }
  return std::nullopt;
}

// Whether it can be claimed now; why not is added to `gone`.
bool can_be_opened(const OtherVolume& volume, std::string& gone) {
  Result<OpenedDevice> opened = open_device(volume.disk);
  if (opened.ok()) {
    close_device(opened.value());
  } else {
    gone += fmt::format("{}: {}: the label of volume {} was not wiped.\n", volume.disk, std::strerror(opened.error().os),
                        volume.number);
  }
  return opened.ok();
}

// Labels of another resource or node.
std::optional<ToolResult> refuse_foreign_labels(const MetadataTarget& target, const MetadataOwner& owner,
                                                const Claimed& claimed) {
  for (size_t i = 0; i < target.others.size(); ++i) {
    FdMetadataIo io(claimed.others[i]);
    const DecodedLabel found = read_label(io);
    const bool own = found.status == MetaStatus::ok && found.label.resource == owner.resource && found.label.node == owner.node;
    if (own || found.status == MetaStatus::no_metadata) continue;
    return refuse(kExitFailure, fmt::format("{}: wipe-md refused: its label is not one of this resource and node.\n"
                                            "  To wipe it all the same: wipe-md --force\n",
                                            target.others[i].disk));
  }
  return std::nullopt;
}

// Only what is ours; the data on the disks stays as it is.
std::optional<ToolResult> clear_labels(const MetadataTarget& target, const Claimed& claimed) {
  for (size_t i = 0; i < target.others.size(); ++i) {
    FdMetadataIo io(claimed.others[i]);
    if (read_label(io).status == MetaStatus::no_metadata) continue;
    const int error = clear_superblock(io, Placement::internal);
    if (error != 0) return refuse_io(target.others[i].disk, error);
  }
  return std::nullopt;
}

std::optional<ToolResult> check_arguments(const MetadataTarget& target, const MetadataOwner& owner, uint8_t max_peers) {
  if (max_peers < 1 || max_peers >= kMaxDataNodes) {
    return refuse(kExitConfiguration, fmt::format("max-peers must be 1 to {}.\n", kMaxDataNodes - 1));
  }
  if (owner.node.value > max_peers) {
    return refuse(kExitConfiguration,
                  fmt::format("node-id {} needs max-peers of at least {}.\n", owner.node.value, owner.node.value));
  }
  if (target.others.size() >= kMaxVolumes) {
    return refuse(kExitConfiguration, fmt::format("a resource has {} volumes at most.\n", kMaxVolumes));
  }
  if (target.disk == target.meta_disk) {
    return refuse(kExitConfiguration,
                  fmt::format("{}: disk and meta-disk are the same; write meta-disk internal.\n", target.disk));
  }
  return std::nullopt;
}

}  // namespace

ToolResult create_md(const MetadataTarget& target, const MetadataOwner& owner, const CreateOptions& options) {
  if (auto refused = check_arguments(target, owner, options.max_peers)) return *refused;
  const auto slots = static_cast<uint8_t>(options.max_peers + 1);
  Claimed claimed;
  if (auto refused = claim(target, {slots, options.digests}, claimed)) return *refused;
  ToolResult refused_shapes;
  const auto behind = shapes_behind(target, claimed, refused_shapes);
  if (!behind) return refused_shapes;
  const LayoutResult made =
      make_layout(target.placement(), claimed.data.size_bytes, claimed.meta.size_bytes, slots, options.digests, span_of(*behind));
  if (made.status != MetaStatus::ok) return refuse_layout(target, made.status, made.layout);
  if (!options.force) {
    std::string obstacles;
    if (auto refused = look_for_obstacles(target, made.layout, *behind, obstacles)) return *refused;
    if (!obstacles.empty()) {
      return refuse(kExitFailure,
                    fmt::format("create-md refused: there is something on the device already.\n{}"
                                "  Nothing was written. If it may be lost, say create-md --force. To keep a file system,\n"
                                "  shrink it to the size of the data area first, or use an external meta-disk.\n",
                                obstacles));
    }
  }
  return write_new_metadata(target, owner, made.layout, *behind, claimed);
}

ToolResult wipe_md(const MetadataTarget& whole, const MetadataOwner& owner, bool force) {
  // With `force` a disk that is gone or dead keeps nobody from wiping the others.
  MetadataTarget target = whole;
  std::string gone;
  if (force) std::erase_if(target.others, [&gone](const OtherVolume& volume) { return !can_be_opened(volume, gone); });
  Claimed claimed;
  if (auto refused = claim(target, {}, claimed)) return *refused;
  FdMetadataIo io(claimed.metadata(target.placement()));
  const Quorum quorum = read_superblock(io, target.placement());
  if (!force) {
    if (auto refused = refuse_foreign_labels(target, owner, claimed)) return *refused;
  }
  if (quorum.status == MetaStatus::no_metadata) {
    if (auto refused = clear_labels(target, claimed)) return *refused;
    return {0, fmt::format("{}: there is no Lockstep metadata to wipe.\n", target.meta_path()), {}};
  }
  const bool foreign = quorum.status != MetaStatus::ok || !is_owned_by(quorum.superblock, owner);
  if (foreign && !force) {
    const std::string why =
        quorum.status != MetaStatus::ok
            ? std::string(text_of(quorum.status))
            : fmt::format("it belongs to resource id {}, node-id {}, volume {}", quorum.superblock.record.resource.to_string(),
                          quorum.superblock.record.node.value, quorum.superblock.volume);
    return refuse(kExitFailure,
                  fmt::format("{}: wipe-md refused: {}.\n  To wipe it all the same: wipe-md --force\n", target.meta_path(), why));
  }
  const int error = clear_superblock(io, target.placement());
  if (error != 0) return refuse_io(target.meta_path(), error);
  if (auto refused = clear_labels(target, claimed)) return *refused;
  return {0, fmt::format("{}: the Lockstep metadata was wiped.\n", target.meta_path()), gone};
}

}  // namespace lockstep
