#include "shell/metadata_move.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "meta/bit_page.h"
#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_devices.h"
#include "shell/metadata_digests.h"
#include "shell/metadata_obstacles.h"
#include "shell/metadata_pages.h"

namespace lockstep {

namespace {

// The first part of a device: what it was before it grew.
class FirstPart : public MetadataIo {
 public:
  FirstPart(MetadataIo& whole, uint64_t bytes) : whole_(whole), bytes_(std::min(bytes, whole.size_bytes())) {}
  uint64_t size_bytes() const override { return bytes_; }
  int read(uint64_t offset, std::span<std::byte> to) override { return whole_.read(offset, to); }
  int write_durable(uint64_t offset, std::span<const std::byte> from) override { return whole_.write_durable(offset, from); }

 private:
  MetadataIo& whole_;
  uint64_t bytes_;
};

// What is beyond the end of the new map belongs to nobody; what is new is equal nowhere, and nobody's either until the volume grows.
BitVector resized(const BitVector& bits, uint64_t size) {
  BitVector out(size);
  for (uint64_t i = bits.next_set(0); i < std::min(bits.size(), size); i = bits.next_set(i + 1)) out.set(i);
  return out;
}

// Both slots get the same, so that it does not matter which one is read.
int move_intent(const ReadIntent& old, MetadataIo& to, const Layout& layout, const Uuid& disk) {
  const BitVector bits = resized(old.bits, layout.extents());
  PageWriter writer(to, layout.intent_offset);
  for (uint32_t page = 0; page < layout.intent_pages; ++page) {
    const uint64_t newest = std::max<uint64_t>(old.sequences[page], 1);
    for (uint64_t slot = 0; slot < kIntentSlots; ++slot) {
      const uint64_t sequence = newest % kIntentSlots == slot ? newest : newest - 1;
      const int error = writer.add(intent_page_id(page, sequence, disk), sequence, bits.page(page));
      if (error != 0) return error;
    }
  }
  return writer.flush();
}

int move_bitmaps(MetadataIo& from, const Superblock& old, MetadataIo& to, const Layout& layout) {
  PageWriter writer(to, layout.bitmap_offset);
  for (uint8_t peer = 0; peer < layout.bitmap_slots; ++peer) {
    const BitVector bits = resized(read_bitmap(from, old, {peer}).bits, layout.blocks());
    for (uint32_t page = 0; page < layout.bitmap_pages; ++page) {
      const int error = writer.add(bitmap_page_id({peer}, page, old.record.disk), 0, bits.page(page));
      if (error != 0) return error;
    }
  }
  return writer.flush();
}

uint64_t volume_bytes(const NodeRecord& record) {
  return record.adopted && !record.adopted->volumes.empty() ? record.adopted->volumes[0].size_bytes : 0;
}

std::string place_name(const MetadataTarget& target) {
  return target.placement() == Placement::internal ? fmt::format("the end of {}", target.disk) : target.meta_disk;
}

// Where it is now.
struct Source {
  std::string place;
  OpenedDevice own;  // a metadata device that is not the configured one; else unused
  std::unique_ptr<FdMetadataIo> whole;
  std::unique_ptr<FirstPart> part;  // null: there is no other place than the new one
  Quorum found;

  Source() = default;
  ~Source() { close_device(own); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  MetadataIo& io() { return *part; }
  bool known() const { return found.status == MetaStatus::ok; }
};

// The copies of a superblock that are intact, whether or not they are enough.
struct Copies {
  uint32_t intact = 0;
  bool of_one_disk = true;
  Uuid disk;
  uint64_t newest = 0;
};

Copies look_at_copies(MetadataIo& io, Placement placement) {
  Copies copies;
  const SuperblockPlace place = find_superblock(placement, io.size_bytes());
  AlignedBytes sector(kSectorBytes);
  for (uint64_t copy = 0; place.fits && copy < kSuperblockCopies; ++copy) {
    if (io.read(place.offset + copy * kSectorBytes, sector.bytes()) != 0) continue;
    const DecodedSuperblock decoded = decode_superblock(SectorView(sector.data(), kSectorBytes));
    if (decoded.status != MetaStatus::ok) continue;
    const Uuid& disk = decoded.superblock.record.disk;
    copies.of_one_disk = copies.intact == 0 || (copies.of_one_disk && disk == copies.disk);
    copies.disk = disk;
    copies.newest = std::max(copies.newest, decoded.superblock.sequence);
    ++copies.intact;
  }
  return copies;
}

// Internal metadata is looked for at the end, unless that is where it shall be, and then before.
int find_internal(const MetadataTarget& target, uint64_t former_bytes, Source& source) {
  const uint64_t now = source.whole->size_bytes();
  if (former_bytes != 0 || target.placement() == Placement::external) {
    source.part = std::make_unique<FirstPart>(*source.whole, former_bytes != 0 ? former_bytes : now);
    source.found = read_superblock(source.io(), Placement::internal);
    if (former_bytes != 0 || source.found.status != MetaStatus::no_metadata) return 0;
  }
  std::optional<uint64_t> former;
  const int error = find_former_size(*source.whole, former);
  if (!former) return error;
  source.part = std::make_unique<FirstPart>(*source.whole, *former);
  source.found = read_superblock(source.io(), Placement::internal);
  return 0;
}

std::optional<ToolResult> open_source(const MetadataTarget& target, const MoveOptions& options, Claimed& claimed,
                                      Source& source) {
  source.place = options.from.empty() ? target.disk : options.from;
  if (options.from.empty()) {
    source.whole = std::make_unique<FdMetadataIo>(claimed.data);
    const int error = find_internal(target, options.former_bytes, source);
    return error == 0 ? std::nullopt : std::optional(refuse_io(source.place, error));
  }
  Result<OpenedDevice> opened = open_device(options.from);
  if (!opened.ok()) return refuse_open(options.from, opened.error());
  source.own = opened.value();
  source.whole = std::make_unique<FdMetadataIo>(source.own);
  source.part = std::make_unique<FirstPart>(*source.whole, source.whole->size_bytes());
  source.found = read_superblock(source.io(), Placement::external);
  return std::nullopt;
}

ToolResult refuse_quorum(const std::string& place, MetaStatus status) {
  const std::string advice = status == MetaStatus::no_metadata
                                 ? "Say with --from where the metadata is, or give the former size of a device that has "
                                   "grown (--former-size)."
                                 : "dump-md shows what is left of it.";
  return refuse(kExitFailure,
                fmt::format("{}: move-md refused: {}.\n  Nothing was written. {}\n", place, text_of(status), advice));
}

ToolResult refuse_owner(const std::string& place, const Superblock& superblock) {
  return refuse(kExitFailure,
                fmt::format("{}: move-md refused: it belongs to resource id {}, node-id {}, volume {}.\n"
                            "  Nothing was written. Correct the configuration, or --from.\n",
                            place, superblock.record.resource.to_string(), superblock.record.node.value, superblock.volume));
}

// Its maps would have to be laid out for all of them.
std::optional<ToolResult> refuse_several(const std::string& place, const Superblock& superblock) {
  if (superblock.record.volumes.empty()) return std::nullopt;
  return refuse(kExitFailure,
                fmt::format("{}: move-md refused: it is the metadata of {} volumes, for which move-md is not built yet.\n"
                            "  Nothing was written.\n",
                            place, superblock.record.volumes.size()));
}

// Why the volume cannot live with that layout; empty if it can.
std::string misfit(const Superblock& old, const Layout& layout, bool same_device, uint64_t old_end) {
  if (layout.data_bytes < volume_bytes(old.record)) {
    return fmt::format(
        "the data area would have {} bytes, and the resource has {}.\n  Nothing was written. Use a larger device, or leave the "
        "metadata on a device of its own",
        layout.data_bytes, volume_bytes(old.record));
  }
  const auto& peers = old.record.peers;
  const bool levelled = std::any_of(peers.begin(), peers.end(), [](const auto& peer) { return !peer.disk.is_nil(); });
  if (!old.record.adopted && levelled && layout.data_bytes < old.record.size_bytes) {
    return "how large the volume is cannot be told, since its history was given up, and the data area would become smaller.\n  Nothing was "
           "written. Let it be copied from a peer first (up), or use a larger device";
  }
  if (same_device && layout.metadata_offset() < old_end) {
    return fmt::format(
        "the new metadata would lie upon the old: the device has grown by less than the {} bytes that it takes.\n  Nothing was "
        "written. Let it grow further",
        layout.metadata_bytes());
  }
  return {};
}

ToolResult moved(const MetadataTarget& target, const Layout& layout) {
  return {0, fmt::format("The metadata is at {} now; the data area has {} bytes.\n", place_name(target), layout.data_bytes), {}};
}

// The last step, and the only one when the new place has it all already.
ToolResult clear_source(const MetadataTarget& target, const Layout& layout, Source& source, Placement from) {
  const int error = clear_superblock(source.io(), from);
  if (error == 0) return moved(target, layout);
  return refuse(kExitFailure, fmt::format("{}: the metadata is at {} now, but clearing what was here failed: {}.\n"
                                          "  Run move-md once more before the resource goes up.\n",
                                          source.place, place_name(target), std::strerror(error)));
}

// There is metadata of this very volume at the new place: left by a move that was interrupted, or of another life of the disk.
std::optional<ToolResult> already_there(const MetadataTarget& target, const Superblock& there, Source& source, Placement from,
                                        bool force) {
  const Copies left = source.part ? look_at_copies(source.io(), from) : Copies{};
  if (left.intact == 0) return moved(target, there.layout);
  // The volume has grown over it since: it is content.
  const bool content = from == Placement::internal && source.io().size_bytes() <= volume_bytes(there.record);
  if (content) return moved(target, there.layout);
  if (left.of_one_disk && left.disk == there.record.disk && left.newest < there.sequence)
    return clear_source(target, there.layout, source, from);
  if (force && source.known()) return std::nullopt;
  return refuse(
      kExitFailure,
      fmt::format("{}: move-md refused: the new place has metadata of this volume already, of disk {}, and {} has some of "
                  "disk {}.\n  Nothing was written. wipe-md removes what is at the new place, if that is the wrong one.\n",
                  target.meta_path(), there.record.disk.to_string(), source.place, left.disk.to_string()));
}

}  // namespace

int find_former_size(MetadataIo& io, std::optional<uint64_t>& size) {
  constexpr uint64_t kStep = uint64_t{4} << 20;
  AlignedBytes buffer(kStep);
  const uint64_t end = io.size_bytes() / kSectorBytes * kSectorBytes;
  for (uint64_t top = end; top > 0;) {
    const uint64_t bottom = top > kStep ? top - kStep : 0;
    const auto bytes = buffer.bytes().first(top - bottom);
    const int error = io.read(bottom, bytes);
    if (error != 0) return error;
    for (uint64_t at = top - bottom; at > 0; at -= kSectorBytes) {
      const uint64_t here = bottom + at;  // the last copy would lie right before it
      const DecodedSuperblock last = decode_superblock(SectorView(bytes.data() + at - kSectorBytes, kSectorBytes));
      const Layout& layout = last.superblock.layout;
      const bool candidate = here != end && last.status == MetaStatus::ok && last.copy == kSuperblockCopies - 1 &&
                             layout.placement == Placement::internal &&
                             layout.data_device_bytes / kSectorBytes * kSectorBytes == here;
      if (!candidate) continue;
      FirstPart part(io, here);
      if (read_superblock(part, Placement::internal).status != MetaStatus::ok) continue;
      size = here;
      return 0;
    }
    top = bottom;
  }
  return 0;
}

int copy_metadata(MetadataIo& from, const Quorum& old, MetadataIo& to, const Layout& layout) {
  SuperblockChain chain{old.superblock, old.checksum};
  NodeRecord record = old.superblock.record;
  record.size_bytes = layout.data_bytes;
  Superblock next = next_superblock(chain, record);
  next.layout = layout;
  int error = clear_superblock(to, layout.placement);
  if (error == 0) error = move_intent(read_intent(from, old.superblock), to, layout, record.disk);
  if (error == 0) error = move_bitmaps(from, old.superblock, to, layout);
  if (error == 0) error = move_digests(from, old.superblock, to, layout);
  if (error == 0) error = write_superblock(to, next);
  return error;
}

ToolResult move_md(const MetadataTarget& target, const MetadataOwner& owner, const MoveOptions& options) {
  const Placement from = options.from.empty() ? Placement::internal : Placement::external;
  if (!options.from.empty() && options.from == target.meta_disk)
    return refuse(kExitConfiguration,
                  fmt::format("{}: it is to be there. Name the new place as meta-disk in the configuration.\n", options.from));
  Claimed claimed;
  if (auto refused = claim({target.disk, {}}, {}, claimed)) return *refused;
  Source source;
  if (auto refused = open_source(target, options, claimed, source)) return *refused;
  const Superblock& old = source.found.superblock;
  if (source.known() && !is_owned_by(old, owner)) return refuse_owner(source.place, old);
  if (source.known()) {
    if (auto refused = refuse_several(source.place, old)) return *refused;
  }
  if (target.placement() == Placement::external) {
    auto refused = claim_meta(target, source.known() ? NewFile{old.layout.bitmap_slots, old.layout.digests} : NewFile{}, claimed);
    if (refused) return source.known() ? *refused : refuse_quorum(source.place, source.found.status);
  }
  FdMetadataIo to(claimed.metadata(target.placement()));
  const Quorum there = read_superblock(to, target.placement());
  if (there.status == MetaStatus::ok && is_owned_by(there.superblock, owner)) {
    if (auto refused = refuse_several(target.meta_path(), there.superblock)) return *refused;
    if (auto done = already_there(target, there.superblock, source, from, options.force)) return *done;
  }
  if (!source.known()) return refuse_quorum(source.place, source.found.status);
  const LayoutResult made = make_layout(target.placement(), claimed.data.size_bytes, claimed.meta.size_bytes,
                                        old.layout.bitmap_slots, old.layout.digests);
  if (made.status != MetaStatus::ok) return refuse_layout(target, made.status, made.layout);
  const bool same_device = options.from.empty() && target.placement() == Placement::internal;
  const std::string wrong = misfit(old, made.layout, same_device, source.io().size_bytes());
  if (!wrong.empty()) return refuse(kExitFailure, fmt::format("{}: move-md refused: {}.\n", target.meta_path(), wrong));
  if (!options.force) {
    const Copies copies = look_at_copies(to, target.placement());
    const bool begun =
        copies.intact > 0 && copies.of_one_disk && copies.disk == old.record.disk && copies.newest <= old.sequence + 1;
    const Moving moving{volume_bytes(old.record) > 0, options.from.empty() && !same_device, begun};
    const Result<std::string> obstacles = find_obstacles(target, made.layout, moving);
    if (!obstacles.ok()) return refuse_io(target.meta_path(), obstacles.error().os);
    if (!obstacles.value().empty()) {
      return refuse(kExitFailure, fmt::format("move-md refused: there is something on the device already.\n{}"
                                              "  Nothing was written. If it may be lost, say move-md --force.\n",
                                              obstacles.value()));
    }
  }
  const int error = copy_metadata(source.io(), source.found, to, made.layout);
  return error == 0 ? clear_source(target, made.layout, source, from) : refuse_io(target.meta_path(), error);
}

}  // namespace lockstep
