#include "shell/metadata_tool.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "meta/bit_page.h"
#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_probe.h"

namespace lockstep {

namespace {

constexpr int kExitConfiguration = 10;
constexpr int kExitNoDisk = 16;
constexpr int kExitFailure = 20;

ToolResult refuse(int exit_status, std::string err) { return {exit_status, {}, std::move(err)}; }

ToolResult refuse_open(const std::string& path, const Error& error) {
  if (error.os == EBUSY) {
    return refuse(kExitFailure, fmt::format("{}: the device is in use (another process has it, or it is mounted).\n"
                                            "  Take the resource down or unmount it first.\n",
                                            path));
  }
  const char* advice = error.os == ENOTBLK  ? "  It is neither a block device nor a regular file.\n"
                       : error.os == ENOENT ? "  Correct `disk` or `meta-disk` in the configuration.\n"
                                            : "";
  return refuse(kExitNoDisk, fmt::format("{}: {}: {}.\n{}", path, error.where, std::strerror(error.os), advice));
}

ToolResult refuse_io(const std::string& path, int error) {
  return refuse(kExitFailure, fmt::format("{}: {}.\n", path, std::strerror(error)));
}

// Both devices of a volume, claimed. Closed with it.
class Claimed {
 public:
  Claimed() = default;
  ~Claimed() {
    close_device(data);
    close_device(meta);
  }
  Claimed(const Claimed&) = delete;
  Claimed& operator=(const Claimed&) = delete;

  OpenedDevice& metadata(Placement placement) { return placement == Placement::internal ? data : meta; }

  OpenedDevice data;
  OpenedDevice meta;  // external only
};

// How large a missing metadata file has to be. 0: no layout fits this data device.
uint64_t external_bytes_needed(uint64_t data_bytes, uint8_t slots) {
  const LayoutResult made = make_layout(Placement::external, data_bytes, UINT64_MAX / 2, slots);
  return made.status == MetaStatus::ok ? made.layout.metadata_bytes() : 0;
}

// A file among the device nodes would be gone with the machine's next start; /dev/shm is for files.
bool among_devices(const std::string& path) { return path.substr(0, 5) == "/dev/" && path.substr(0, 9) != "/dev/shm/"; }

std::optional<ToolResult> claim(const MetadataTarget& target, uint8_t create_with_slots, Claimed& claimed) {
  Result<OpenedDevice> data = open_device(target.disk);
  if (!data.ok()) return refuse_open(target.disk, data.error());
  claimed.data = data.value();
  if (target.placement() == Placement::internal) return std::nullopt;
  Result<OpenedDevice> meta = open_device(target.meta_disk);
  if (!meta.ok() && meta.error().os == ENOENT && create_with_slots > 0 && !among_devices(target.meta_disk)) {
    const uint64_t bytes = external_bytes_needed(claimed.data.size_bytes, create_with_slots);
    if (bytes > 0) meta = create_file(target.meta_disk, bytes);
  }
  if (!meta.ok()) return refuse_open(target.meta_disk, meta.error());
  claimed.meta = meta.value();
  return std::nullopt;
}

// Whether what was found would be damaged, or belongs to somebody who will want it back.
bool stands_in_the_way(const Found& found, const Layout& layout, bool on_data_device) {
  switch (found.kind) {
    case FoundKind::filesystem: {
      if (!on_data_device) return true;
      if (layout.placement == Placement::external) return false;
      return found.bytes == 0 || found.bytes > layout.data_bytes;
    }
    case FoundKind::container:
      // A partition table or a volume group at the start is content like any other, until the metadata lies
      // upon its end.
      return !on_data_device || layout.placement == Placement::internal;
    case FoundKind::foreign_replicator:
    case FoundKind::own_internal:
    case FoundKind::own_external:
      return true;
  }
  UNREACHABLE("FoundKind");
}

std::string describe(const Found& found, const Layout& layout) {
  if (found.kind != FoundKind::filesystem || layout.placement != Placement::internal) return found.name;
  if (found.bytes == 0) return fmt::format("{} of unknown size", found.name);
  return fmt::format("{} of {} bytes (the data area would have {})", found.name, found.bytes, layout.data_bytes);
}

// Empty when nothing is in the way; else lines for a person.
Result<std::string> find_obstacles(const MetadataTarget& target, const Layout& layout) {
  std::string text;
  const auto look_at = [&](const std::string& path, bool on_data_device) -> Result<void> {
    const Result<std::vector<Found>> found = probe_device(path);
    if (!found.ok()) return found.error();
    for (const Found& item : found.value()) {
      if (stands_in_the_way(item, layout, on_data_device)) text += fmt::format("  {}: {}\n", path, describe(item, layout));
    }
    return {};
  };
  const Result<void> data = look_at(target.disk, true);
  if (!data.ok()) return data.error();
  if (target.placement() == Placement::external) {
    const Result<void> meta = look_at(target.meta_disk, false);
    if (!meta.ok()) return meta.error();
  }
  return text;
}

bool draw_uuid(Uuid& uuid) {
  return getrandom(uuid.bytes.data(), uuid.bytes.size(), 0) == static_cast<ssize_t>(uuid.bytes.size());
}

int clear_superblock(MetadataIo& io, Placement placement) {
  const SuperblockPlace place = find_superblock(placement, io.size_bytes());
  if (!place.fits) return 0;
  AlignedBytes zeroes(kSuperblockCopies * kSectorBytes);
  return io.write_durable(place.offset, zeroes.bytes());
}

// Writes pages one behind the other, a megabyte at a time.
class PageWriter {
 public:
  PageWriter(MetadataIo& io, uint64_t offset) : io_(io), offset_(offset), buffer_(kBatch * kSectorBytes) {}
  int add(const PageId& id, uint64_t sequence, const BitPage& bits) {
    encode_bit_page(id, sequence, bits, SectorSpan(buffer_.bytes().subspan(used_ * kSectorBytes, kSectorBytes)));
    return ++used_ == kBatch ? flush() : 0;
  }
  int flush() {
    if (used_ == 0) return 0;
    const auto bytes = buffer_.bytes().first(used_ * kSectorBytes);
    const int error = io_.write_durable(offset_, bytes);
    offset_ += bytes.size();
    used_ = 0;
    return error;
  }

 private:
  static constexpr size_t kBatch = 256;
  MetadataIo& io_;
  uint64_t offset_;
  AlignedBytes buffer_;
  size_t used_ = 0;
};

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
// mixture.
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
          fmt::format("New Lockstep metadata was written to {} ({}, {} bytes; data area of {} bytes, disk {}).\n",
                      target.meta_path(), target.placement() == Placement::internal ? "internal" : "external",
                      layout.metadata_bytes(), layout.data_bytes, disk.to_string()),
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

ToolResult refuse_layout(const MetadataTarget& target, MetaStatus status, const Layout& layout) {
  return refuse(kExitFailure, fmt::format("{}: {}: disk of {} bytes, metadata device of {}; a data area has {} to {} bytes.\n"
                                          "  {}\n",
                                          target.meta_path(), text_of(status), layout.data_device_bytes, layout.meta_device_bytes,
                                          kMinDataBytes, kMaxDataBytes, remedy_of(status)));
}

bool is_owned_by(const Superblock& superblock, const MetadataOwner& owner) {
  const NodeRecord& record = superblock.record;
  return record.resource == owner.resource && record.node == owner.node && superblock.volume == owner.volume;
}

}  // namespace

ToolResult create_md(const MetadataTarget& target, const MetadataOwner& owner, const CreateOptions& options) {
  if (auto refused = check_arguments(target, owner, options.max_peers)) return *refused;
  const auto slots = static_cast<uint8_t>(options.max_peers + 1);
  Claimed claimed;
  if (auto refused = claim(target, slots, claimed)) return *refused;
  const LayoutResult made = make_layout(target.placement(), claimed.data.size_bytes, claimed.meta.size_bytes, slots);
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
  if (auto refused = claim(target, 0, claimed)) return *refused;
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
