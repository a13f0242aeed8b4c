#include "shell/metadata_attach.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/attach.h"
#include "meta/bit_page.h"
#include "shell/metadata_pages.h"
#include "wire/auth.h"

namespace lockstep {

static_assert(std::tuple_size_v<decltype(Loaded::intent_sequences)> == kMaxIntentPages);

namespace {

MetadataError fail(MetaStatus status, std::string details, int os = 0) {
  std::string text = fmt::format("{}.\n", text_of(status));
  if (!details.empty()) text += fmt::format("  {}\n", details);
  text += fmt::format("  {}\n", remedy_of(status));
  return {status, os, std::move(text)};
}

std::string describe_copies(const Quorum& quorum) {
  std::string text = "Superblock copies:";
  for (const CopyState state : quorum.states) text += fmt::format(" {}", name_of(state));
  return text + ".";
}

std::optional<MetadataError> check_identity(const Superblock& superblock, const MetadataExpectation& expected) {
  const NodeRecord& record = superblock.record;
  if (record.resource != expected.resource) {
    return fail(MetaStatus::other_resource, fmt::format("It has resource id {}, the configuration {}.",
                                                        record.resource.to_string(), expected.resource.to_string()));
  }
  if (record.node != expected.node) {
    return fail(MetaStatus::other_node,
                fmt::format("It was made for node-id {}, this node has {}.", record.node.value, expected.node.value));
  }
  if (superblock.volume != expected.volume) {
    return fail(MetaStatus::other_volume, fmt::format("It was made for volume {}, not {}.", superblock.volume, expected.volume));
  }
  for (const Seat peer : expected.peers) {
    if (peer.value < superblock.layout.bitmap_slots) continue;
    return fail(MetaStatus::device_too_small,
                fmt::format("It has bitmaps for node ids 0 to {}, and node-id {} is configured; create-md again with more.",
                            superblock.layout.bitmap_slots - 1, peer.value));
  }
  return std::nullopt;
}

// Internal metadata is where the device ends, so its device must have the recorded size (in whole sectors).
// External metadata allows its data device to have grown (move-md makes use of that); never to be smaller
// than the data area.
std::optional<MetadataError> check_sizes(const Superblock& superblock, const MetadataExpectation& expected,
                                         uint64_t meta_device_bytes) {
  const Layout& layout = superblock.layout;
  const auto sectors = [](uint64_t bytes) { return bytes / kSectorBytes; };
  const uint64_t data_now = expected.data_device_bytes;
  const bool internal = layout.placement == Placement::internal;
  const bool same_placement = layout.placement == expected.placement;
  const bool data_fits = internal ? sectors(data_now) == sectors(layout.data_device_bytes) : data_now >= layout.data_bytes;
  const bool meta_fits =
      internal ? sectors(meta_device_bytes) == sectors(layout.meta_device_bytes) : meta_device_bytes >= layout.metadata_bytes();
  if (same_placement && data_fits && meta_fits) return std::nullopt;
  return fail(MetaStatus::layout_mismatch,
              fmt::format("Recorded: {} metadata, data device of {} bytes, metadata device of {}. Found: {} and {} bytes.",
                          internal ? "internal" : "external", layout.data_device_bytes, layout.meta_device_bytes, data_now,
                          meta_device_bytes));
}

// One durable write that opens this start. The chain then stands at it.
int open_start(MetadataIo& io, const Quorum& quorum, const BitVector& intent, const MetadataExpectation& expected,
               SuperblockChain& chain) {
  chain = {quorum.superblock, quorum.checksum};
  NodeRecord record = quorum.superblock.record;
  begin_attach(record, intent, {expected.boot, draw_run_token(), expected.peers, expected.volatile_cache});
  chain.last = next_superblock(chain, record);
  chain.checksum = checksum_of(chain.last);
  return write_superblock(io, chain.last);
}

void load_bitmaps(MetadataIo& io, const MetadataExpectation& expected, AttachedMetadata& attached) {
  for (const Seat peer : expected.peers) {
    if (peer == expected.node) continue;
    ReadBitmap bitmap = read_bitmap(io, attached.chain.last, peer);
    attached.loaded.bitmaps[peer.value] = std::move(bitmap.bits);
    attached.unreadable_bitmap_pages += bitmap.unreadable_pages;
  }
}

}  // namespace

Quorum read_superblock(MetadataIo& io, Placement placement) {
  std::array<CopyRead, kSuperblockCopies> copies;
  const SuperblockPlace place = find_superblock(placement, io.size_bytes());
  if (!place.fits) return choose_superblock(copies);
  read_sectors(io, place.offset, kSuperblockCopies, [&copies](uint64_t i, const std::byte* sector) {
    copies[i].io_error = sector == nullptr;
    if (sector != nullptr) copies[i].decoded = decode_superblock(SectorView(sector, kSectorBytes));
  });
  return choose_superblock(copies);
}

ReadIntent read_intent(MetadataIo& io, const Superblock& superblock) {
  const Layout& layout = superblock.layout;
  ReadIntent result;
  result.bits = BitVector(layout.extents());
  std::array<IntentSlots, kMaxIntentPages> found;
  const uint64_t sectors = uint64_t{layout.intent_pages} * kIntentSlots;
  read_sectors(io, layout.intent_offset, sectors, [&](uint64_t i, const std::byte* sector) {
    const auto page = static_cast<uint32_t>(i / kIntentSlots);
    const uint64_t slot = i % kIntentSlots;
    if (sector == nullptr) {
      found[page].io_error = true;
      return;
    }
    const PageId id = intent_page_id(page, slot, superblock.record.disk);
    found[page].slots[slot] = decode_bit_page(id, SectorView(sector, kSectorBytes));
  });
  for (uint32_t page = 0; page < layout.intent_pages; ++page) {
    const ChosenIntent chosen = choose_intent(found[page]);
    result.bits.load_page(page, chosen.bits);
    result.sequences[page] = chosen.sequence;
    if (!chosen.readable) ++result.unreadable_pages;
  }
  return result;
}

ReadBitmap read_bitmap(MetadataIo& io, const Superblock& superblock, Seat peer) {
  const Layout& layout = superblock.layout;
  ReadBitmap result;
  result.bits = BitVector(layout.blocks());
  read_sectors(io, layout.bitmap_page(peer, 0), layout.bitmap_pages, [&](uint64_t i, const std::byte* sector) {
    const auto page = static_cast<uint32_t>(i);
    std::optional<DecodedPage> decoded;
    if (sector != nullptr) {
      decoded = decode_bit_page(bitmap_page_id(peer, page, superblock.record.disk), SectorView(sector, kSectorBytes));
    }
    if (!decoded) ++result.unreadable_pages;
    result.bits.load_page(page, decoded ? decoded->bits : all_ones_page());
  });
  return result;
}

int repair_superblock(MetadataIo& io, const Quorum& quorum) {
  AlignedBytes sector(kSectorBytes);
  for (uint32_t i = 0; i < quorum.repairs; ++i) {
    const uint8_t copy = quorum.repair_order[i];
    encode_superblock(quorum.superblock, copy, SectorSpan(sector.bytes()));
    const int error = io.write_durable(quorum.superblock.layout.superblock_copy(copy), sector.bytes());
    if (error != 0) return error;
  }
  return 0;
}

int write_superblock(MetadataIo& io, const Superblock& superblock) {
  AlignedBytes half(kCopiesPerHalf * kSectorBytes);
  for (uint8_t first = 0; first < kSuperblockCopies; first += kCopiesPerHalf) {
    for (uint8_t i = 0; i < kCopiesPerHalf; ++i) {
      encode_superblock(superblock, static_cast<uint8_t>(first + i),
                        SectorSpan(half.bytes().subspan(i * kSectorBytes, kSectorBytes)));
    }
    const int error = io.write_durable(superblock.layout.superblock_copy(first), half.bytes());
    if (error != 0) return error;
  }
  return 0;
}

Superblock next_superblock(const SuperblockChain& chain, const NodeRecord& record) {
  Superblock next = chain.last;
  next.sequence = chain.last.sequence + 1;
  next.parent_checksum = chain.checksum;
  next.record = record;
  return next;
}

uint32_t checksum_of(const Superblock& superblock) {
  Sector sector;
  encode_superblock(superblock, 0, SectorSpan(sector));
  return superblock_checksum(SectorView(sector));
}

std::optional<MetadataError> why_not_attached(MetadataIo& io, const Quorum& quorum, const MetadataExpectation& expected) {
  if (quorum.status != MetaStatus::ok) {
    return fail(quorum.status, quorum.status == MetaStatus::no_metadata ? "" : describe_copies(quorum),
                quorum.status == MetaStatus::io_error ? EIO : 0);
  }
  std::optional<MetadataError> mismatch = check_identity(quorum.superblock, expected);
  return mismatch ? mismatch : check_sizes(quorum.superblock, expected, io.size_bytes());
}

AttachOutcome attach_metadata(MetadataIo& io, const MetadataExpectation& expected) {
  AttachOutcome outcome;
  const Quorum quorum = read_superblock(io, expected.placement);
  if (const auto wrong = why_not_attached(io, quorum, expected)) {
    outcome.error = *wrong;
    return outcome;
  }
  AttachedMetadata attached;
  attached.found = quorum.states;
  attached.repaired_copies = quorum.repairs;
  int error = repair_superblock(io, quorum);
  ReadIntent intent = read_intent(io, quorum.superblock);
  if (error == 0) error = open_start(io, quorum, intent.bits, expected, attached.chain);
  if (error != 0) {
    outcome.error = fail(MetaStatus::io_error, fmt::format("Writing the superblock failed: {}.", std::strerror(error)), error);
    return outcome;
  }
  attached.loaded.record = attached.chain.last.record;
  attached.loaded.intent = std::move(intent.bits);
  attached.loaded.intent_sequences = intent.sequences;
  attached.unreadable_intent_pages = intent.unreadable_pages;
  load_bitmaps(io, expected, attached);
  outcome.attached = std::move(attached);
  return outcome;
}

}  // namespace lockstep
