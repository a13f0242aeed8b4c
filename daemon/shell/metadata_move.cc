#include "shell/metadata_move.h"

#include <fmt/format.h>

#include <algorithm>

#include "meta/bit_page.h"
#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_devices.h"
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
  OpenedDevice own;  // a metadata device that is not the configured one; else unused
  std::unique_ptr<FdMetadataIo> whole;
  std::unique_ptr<FirstPart> part;
  Quorum found;

  Source() = default;
  ~Source() { close_device(own); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  MetadataIo& io() { return *part; }
};

std::optional<ToolResult> open_source(const MetadataTarget& target, const MoveOptions& options, Claimed& claimed,
                                      Source& source) {
  const bool internal = options.from.empty();
  if (!internal) {
    Result<OpenedDevice> opened = open_device(options.from);
    if (!opened.ok()) return refuse_open(options.from, opened.error());
    source.own = opened.value();
  }
  source.whole = std::make_unique<FdMetadataIo>(internal ? claimed.data : source.own);
  const uint64_t now = source.whole->size_bytes();
  const Placement placement = internal ? Placement::internal : Placement::external;
  source.part = std::make_unique<FirstPart>(*source.whole, options.former_bytes != 0 ? options.former_bytes : now);
  source.found = read_superblock(source.io(), placement);
  const bool may_be_elsewhere = internal && options.former_bytes == 0 && target.placement() == Placement::internal;
  if (!may_be_elsewhere) return std::nullopt;
  // At the end: that is where it shall be. Before it: where it was.
  const auto former = find_former_size(*source.whole);
  source.part = std::make_unique<FirstPart>(*source.whole, former.value_or(now));
  source.found = former ? read_superblock(source.io(), placement) : Quorum{};
  return std::nullopt;
}

ToolResult refuse_quorum(const std::string& place, const Quorum& quorum) {
  return refuse(kExitFailure,
                fmt::format("{}: move-md refused: {}.\n  {}\n", place, text_of(quorum.status), remedy_of(quorum.status)));
}

ToolResult refuse_owner(const std::string& place, const Superblock& superblock) {
  return refuse(kExitFailure,
                fmt::format("{}: move-md refused: it belongs to resource id {}, node-id {}, volume {}.\n"
                            "  Nothing was written. Correct the configuration, or --from.\n",
                            place, superblock.record.resource.to_string(), superblock.record.node.value, superblock.volume));
}

// Why the volume cannot live with that layout; empty if it can.
std::string misfit(const Superblock& old, const Layout& layout, bool same_device, uint64_t old_end) {
  if (layout.data_bytes < volume_bytes(old.record)) {
    return fmt::format(
        "the data area would have {} bytes, and the resource has {}.\n  Nothing was written. Use a larger device, or leave the "
        "metadata on a device of its own",
        layout.data_bytes, volume_bytes(old.record));
  }
  if (same_device && layout.bitmap_offset < old_end) {
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

// The new place has it already: only the old superblock was left to be cleared, or nothing.
std::optional<ToolResult> finish_interrupted(const MetadataTarget& target, const MetadataOwner& owner, const Quorum& there,
                                             Source& source, Placement from) {
  if (there.status != MetaStatus::ok || !is_owned_by(there.superblock, owner)) return std::nullopt;
  const bool gone = source.found.status == MetaStatus::no_metadata;
  const Superblock& old = source.found.superblock;
  const bool same = source.found.status == MetaStatus::ok && old.record.disk == there.superblock.record.disk &&
                    there.superblock.sequence > old.sequence;
  if (!gone && !same) return std::nullopt;
  const int error = gone ? 0 : clear_superblock(source.io(), from);
  return error == 0 ? moved(target, there.superblock.layout) : refuse_io(target.meta_path(), error);
}

}  // namespace

std::optional<uint64_t> find_former_size(MetadataIo& io) {
  constexpr uint64_t kStep = uint64_t{4} << 20;
  AlignedBytes buffer(kStep);
  const uint64_t end = io.size_bytes() / kSectorBytes * kSectorBytes;
  for (uint64_t top = end; top > 0;) {
    const uint64_t bottom = top > kStep ? top - kStep : 0;
    const auto bytes = buffer.bytes().first(top - bottom);
    if (io.read(bottom, bytes) != 0) return std::nullopt;
    for (uint64_t at = top - bottom; at > 0; at -= kSectorBytes) {
      const uint64_t size = bottom + at;  // the last copy would lie right before it
      const DecodedSuperblock last = decode_superblock(SectorView(bytes.data() + at - kSectorBytes, kSectorBytes));
      if (size == end || last.status != MetaStatus::ok || last.copy != kSuperblockCopies - 1) continue;
      FirstPart part(io, size);
      if (read_superblock(part, Placement::internal).status == MetaStatus::ok) return size;
    }
    top = bottom;
  }
  return std::nullopt;
}

int move_metadata(MetadataIo& from, const Quorum& old, MetadataIo& to, const Layout& layout) {
  SuperblockChain chain{old.superblock, old.checksum};
  NodeRecord record = old.superblock.record;
  record.size_bytes = layout.data_bytes;
  Superblock next = next_superblock(chain, record);
  next.layout = layout;
  int error = clear_superblock(to, layout.placement);
  if (error == 0) error = move_intent(read_intent(from, old.superblock), to, layout, record.disk);
  if (error == 0) error = move_bitmaps(from, old.superblock, to, layout);
  if (error == 0) error = write_superblock(to, next);
  if (error == 0) error = clear_superblock(from, old.superblock.layout.placement);
  return error;
}

ToolResult move_md(const MetadataTarget& target, const MetadataOwner& owner, const MoveOptions& options) {
  const Placement from = options.from.empty() ? Placement::internal : Placement::external;
  const std::string place = options.from.empty() ? target.disk : options.from;
  if (!options.from.empty() && options.from == target.meta_disk)
    return refuse(kExitConfiguration,
                  fmt::format("{}: it is to be there. Name the new place as meta-disk in the configuration.\n", place));
  Claimed claimed;
  if (auto refused = claim({target.disk, {}}, 0, claimed)) return *refused;
  Source source;
  if (auto refused = open_source(target, options, claimed, source)) return *refused;
  const bool known = source.found.status == MetaStatus::ok;
  if (known && !is_owned_by(source.found.superblock, owner)) return refuse_owner(place, source.found.superblock);
  const uint8_t slots = known ? source.found.superblock.layout.bitmap_slots : 0;
  if (target.placement() == Placement::external) {
    if (auto refused = claim_meta(target, slots, claimed)) return *refused;
  }
  FdMetadataIo to(claimed.metadata(target.placement()));
  const Quorum there = read_superblock(to, target.placement());
  if (auto done = finish_interrupted(target, owner, there, source, from)) return *done;
  if (!known) return refuse_quorum(place, source.found);
  const LayoutResult made = make_layout(target.placement(), claimed.data.size_bytes, claimed.meta.size_bytes, slots);
  if (made.status != MetaStatus::ok) return refuse_layout(target, made.status, made.layout);
  const bool same_device = options.from.empty() && target.placement() == Placement::internal;
  const std::string wrong = misfit(source.found.superblock, made.layout, same_device, source.io().size_bytes());
  if (!wrong.empty()) return refuse(kExitFailure, fmt::format("{}: move-md refused: {}.\n", target.meta_path(), wrong));
  if (!options.force) {
    const Result<std::string> obstacles = find_obstacles(target, made.layout, options.from.empty());
    if (!obstacles.ok()) return refuse_io(target.meta_path(), obstacles.error().os);
    if (!obstacles.value().empty()) {
      return refuse(kExitFailure, fmt::format("move-md refused: there is something on the device already.\n{}"
                                              "  Nothing was written. If it may be lost, say move-md --force.\n",
                                              obstacles.value()));
    }
  }
  const int error = move_metadata(source.io(), source.found, to, made.layout);
  if (error != 0) return refuse_io(target.meta_path(), error);
  return moved(target, made.layout);
}

}  // namespace lockstep
