#include "shell/metadata_tool.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "meta/bit_page.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_devices.h"
#include "shell/metadata_obstacles.h"
#include "shell/metadata_pages.h"
#include "shell/metadata_probe.h"

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

// Old superblock away, pages, new superblock: a crash in between leaves a device without metadata, never a
// mixture. Pages of digests need not be written: those of an earlier life name another disk.
int write_everything(MetadataIo& io, const Superblock& superblock) {
  const Layout& layout = superblock.layout;
  const Uuid& disk = superblock.record.disk;
  int error = clear_superblock(io, layout.placement);
  if (error == 0) error = write_clean_intent(io, layout, disk);
  if (error == 0) error = write_clean_bitmaps(io, layout, disk);
  if (error == 0) error = write_superblock(io, superblock);
  return error;
}

Superblock first_superblock(const Layout& layout, const MetadataOwner& owner, const Uuid& disk, const Uuid& acceptor) {
  Superblock superblock;
  superblock.sequence = 1;
  superblock.volume = owner.volume;
  superblock.layout = layout;
  superblock.record.resource = owner.resource;
  superblock.record.node = owner.node;
  superblock.record.disk = disk;
  superblock.record.size_bytes = layout.data_bytes;
  superblock.record.acceptor.acceptor = acceptor;
  // Starts count from a random base: a node whose metadata is made anew never repeats a start, and so neither a ballot nor the name
  // under which the disk before held a tenure.
  superblock.record.memory.lineage.start = uint64_t{acceptor.bytes[0]} << 56 >> 8 | uint64_t{acceptor.bytes[1]} << 40 |
                                           uint64_t{acceptor.bytes[2]} << 32 | uint64_t{acceptor.bytes[3]} << 24;
  return superblock;
}

ToolResult write_new_metadata(const MetadataTarget& target, const MetadataOwner& owner, const Layout& layout, Claimed& claimed) {
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
  FdMetadataIo io(claimed.metadata(target.placement()));
  const int error = write_everything(io, first_superblock(layout, owner, disk, acceptor));
  if (error != 0) return refuse_io(target.meta_path(), error);
  return {0,
          fmt::format("New Lockstep metadata was written to {} ({}{}, {} bytes; data area of {} bytes, disk {}).\n",
                      target.meta_path(), target.placement() == Placement::internal ? "internal" : "external",
                      layout.digests ? ", with block digests" : "", layout.metadata_bytes(), layout.data_bytes, disk.to_string()),
          {}};
}

std::optional<ToolResult> check_arguments(const MetadataTarget& target, const MetadataOwner& owner, uint8_t max_peers) {
  if (max_peers < 1 || max_peers >= kMaxDataNodes) {
    return refuse(kExitConfiguration, fmt::format("max-peers must be 1 to {}.\n", kMaxDataNodes - 1));
  }
  if (owner.node.value > max_peers) {
    return refuse(kExitConfiguration,
                  fmt::format("node-id {} needs max-peers of at least {}.\n", owner.node.value, owner.node.value));
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
  const LayoutResult made =
      make_layout(target.placement(), claimed.data.size_bytes, claimed.meta.size_bytes, slots, options.digests);
  if (made.status != MetaStatus::ok) return refuse_layout(target, made.status, made.layout);
  if (!options.force) {
    const Result<std::string> obstacles = find_obstacles(target, made.layout);
    if (!obstacles.ok()) return refuse_io(target.meta_path(), obstacles.error().os);
    if (!obstacles.value().empty()) {
      return refuse(kExitFailure,
                    fmt::format("create-md refused: there is something on the device already.\n{}"
                                "  Nothing was written. If it may be lost, say create-md --force. To keep a file system,\n"
                                "  shrink it to the size of the data area first, or use an external meta-disk.\n",
                                obstacles.value()));
    }
  }
  return write_new_metadata(target, owner, made.layout, claimed);
}

ToolResult wipe_md(const MetadataTarget& target, const MetadataOwner& owner, bool force) {
  Claimed claimed;
  if (auto refused = claim(target, {}, claimed)) return *refused;
  FdMetadataIo io(claimed.metadata(target.placement()));
  const Quorum quorum = read_superblock(io, target.placement());
  if (quorum.status == MetaStatus::no_metadata) {
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
  return {0, fmt::format("{}: the Lockstep metadata was wiped.\n", target.meta_path()), {}};
}

}  // namespace lockstep
