#include "meta/layout.h"

namespace lockstep {

namespace {

constexpr uint64_t kSuperblockBytes = uint64_t{kSuperblockCopies} * kSectorBytes;

constexpr uint64_t round_down(uint64_t bytes) { return bytes - bytes % kSectorBytes; }
constexpr uint64_t divide_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

constexpr uint64_t whole_extents(uint64_t bytes) { return divide_up(bytes, kExtentBytes) * kExtentBytes; }
// Volumes begin with an extent (core/volumes.h).
uint64_t span_with(uint64_t data_bytes, uint64_t beyond) { return beyond == 0 ? data_bytes : whole_extents(data_bytes) + beyond; }

uint64_t pages_for(uint64_t bits) { return divide_up(bits, kBitsPerPage); }
uint64_t intent_pages_for(uint64_t data_bytes) { return pages_for(divide_up(data_bytes, kExtentBytes)); }
uint64_t bitmap_pages_for(uint64_t data_bytes) { return pages_for(data_bytes / kBlockBytes); }
uint64_t digest_pages_for(uint64_t data_bytes) { return divide_up(data_bytes, kExtentBytes) * kDigestPagesPerExtent; }

uint64_t metadata_bytes_for(uint64_t data_bytes, uint8_t slots, bool digests) {
  const uint64_t maps = intent_pages_for(data_bytes) * kIntentSlots + bitmap_pages_for(data_bytes) * slots;
  return kSuperblockBytes + (maps + (digests ? digest_pages_for(data_bytes) : 0)) * kSectorBytes;
}

// What is left for data when metadata for a full device's worth of data is put at its end. The few pages that
// could be saved by iterating are not worth a rule that is harder to state.
uint64_t internal_data_bytes(uint64_t end, uint8_t slots, bool digests, uint64_t beyond) {
  const uint64_t metadata = metadata_bytes_for(span_with(end, beyond), slots, digests);
  return end > metadata ? end - metadata : 0;
}

}  // namespace

uint64_t Layout::metadata_bytes() const { return metadata_bytes_for(span_bytes, bitmap_slots, digests); }

uint64_t Layout::metadata_offset() const {
  if (placement == Placement::external) return superblock_offset;
  return digests ? digest_offset : bitmap_offset;
}

SuperblockPlace find_superblock(Placement placement, uint64_t meta_device_bytes) {
  const uint64_t end = round_down(meta_device_bytes);
  if (end < kSuperblockBytes) return {};
  return {true, placement == Placement::internal ? end - kSuperblockBytes : 0};
}

LayoutResult make_layout(Placement placement, uint64_t data_device_bytes, uint64_t meta_device_bytes, uint8_t bitmap_slots,
                         bool digests, uint64_t beyond_bytes) {
  LayoutResult result;
  Layout& layout = result.layout;
  if (bitmap_slots < 2 || bitmap_slots > kMaxDataNodes) return {MetaStatus::malformed, {}};
  layout.placement = placement;
  layout.bitmap_slots = bitmap_slots;
  layout.digests = digests;
  layout.data_device_bytes = data_device_bytes;
  layout.meta_device_bytes = placement == Placement::internal ? data_device_bytes : meta_device_bytes;
  const uint64_t data_end = round_down(data_device_bytes);
  const uint64_t meta_end = round_down(layout.meta_device_bytes);
  layout.data_bytes =
      placement == Placement::internal ? internal_data_bytes(data_end, bitmap_slots, digests, beyond_bytes) : data_end;
  layout.beyond_bytes = beyond_bytes;
  if (layout.data_bytes > kMaxDataBytes || beyond_bytes > kMaxDataBytes) return {MetaStatus::device_too_large, layout};
  layout.span_bytes = span_with(layout.data_bytes, beyond_bytes);
  if (layout.span_bytes > kMaxDataBytes) return {MetaStatus::device_too_large, layout};
  if (layout.data_bytes < kMinDataBytes) return {MetaStatus::device_too_small, layout};
  layout.intent_pages = static_cast<uint32_t>(intent_pages_for(layout.span_bytes));
  layout.bitmap_pages = static_cast<uint32_t>(bitmap_pages_for(layout.span_bytes));
  layout.superblock_offset = find_superblock(placement, layout.meta_device_bytes).offset;
  const uint64_t intent_bytes = uint64_t{layout.intent_pages} * kIntentSlots * kSectorBytes;
  const uint64_t bitmap_bytes = uint64_t{layout.bitmap_pages} * bitmap_slots * kSectorBytes;
  if (placement == Placement::internal) {
    layout.intent_offset = layout.superblock_offset - intent_bytes;
    layout.bitmap_offset = layout.intent_offset - bitmap_bytes;
    if (digests) layout.digest_offset = layout.bitmap_offset - layout.digest_pages() * kSectorBytes;
  } else {
    if (layout.metadata_bytes() > meta_end) return {MetaStatus::device_too_small, layout};
    layout.intent_offset = kSuperblockBytes;
    layout.bitmap_offset = layout.intent_offset + intent_bytes;
    if (digests) layout.digest_offset = layout.bitmap_offset + bitmap_bytes;
  }
  return result;
}

}  // namespace lockstep
