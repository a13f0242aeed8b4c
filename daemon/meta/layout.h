// Where the parts of the metadata lie. A pure function of the device sizes, the number of bitmap slots and
// whether there are block digests; the result is also stored in the superblock, and an attach refuses a
// superblock whose places are not the ones that this function gives.
//
//   internal, at the end of the device that holds the data (data area at offset 0):
//     [ data | unused | digests | bitmaps | intent map | superblock x 4 ] < 4 KiB unused
//   external, a file or device of its own:
//     [ superblock x 4 | intent map | bitmaps | digests ] rest unused
//
// With several volumes in a resource the maps and digests of all of them lie with the lowest one: they cover the address space of
// core/volumes.h, of which the data area here is the beginning. The disks of the others have labels (volume_label.h).
//
// The superblock is found from the size of the device alone. Offsets and sizes are in bytes, multiples of
// 4096 except the two device sizes.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "core/durable.h"
#include "meta/digest_page.h"
#include "meta/meta_status.h"
#include "meta/sector.h"

namespace lockstep {

constexpr uint32_t kSuperblockCopies = 4;
constexpr uint32_t kIntentSlots = 2;
constexpr uint32_t kMaxIntentPages = 8;     // as many as core's Loaded has sequences for
constexpr uint8_t kDefaultBitmapSlots = 8;  // node ids 0..7: seven peers
constexpr uint64_t kMaxDataBytes = uint64_t{kMaxIntentPages} * kBitsPerPage * kExtentBytes;  // 1000 GiB
constexpr uint64_t kMinDataBytes = 64 * 1024;

enum class Placement : uint8_t { internal, external };

struct Layout {
  Placement placement = Placement::internal;
  uint8_t bitmap_slots = kDefaultBitmapSlots;  // one a node id, from 0
  uint64_t data_device_bytes = 0;              // as create-md found them
  uint64_t meta_device_bytes = 0;              // the same device when internal
  uint64_t data_bytes = 0;                     // the data area, at offset 0 of its device
  uint64_t beyond_bytes = 0;                   // of the address space, that the volumes behind the lowest take
  uint64_t span_bytes = 0;                     // that the maps cover: data_bytes, if there is one volume
  uint64_t superblock_offset = 0;
  uint64_t intent_offset = 0;
  uint64_t bitmap_offset = 0;
  uint32_t intent_pages = 0;
  uint32_t bitmap_pages = 0;   // of one slot
  bool digests = false;        // chosen at create-md
  uint64_t digest_offset = 0;  // not stored; 0 without digests

  uint64_t superblock_copy(uint32_t copy) const { return superblock_offset + uint64_t{copy} * kSectorBytes; }
  uint64_t intent_slot(uint32_t page, uint64_t slot) const {
    return intent_offset + (uint64_t{page} * kIntentSlots + slot) * kSectorBytes;
  }
  uint64_t bitmap_page(Seat peer, uint32_t page) const {
    return bitmap_offset + (uint64_t{peer.value} * bitmap_pages + page) * kSectorBytes;
  }
  uint64_t digest_page(uint64_t page) const { return digest_offset + page * kSectorBytes; }
  uint64_t digest_pages() const { return digests ? kDigestPagesPerExtent * extents() : 0; }
  uint64_t metadata_offset() const;  // of the part that lies first
  uint64_t metadata_bytes() const;
  uint64_t extents() const { return (span_bytes + kExtentBytes - 1) / kExtentBytes; }
  uint64_t blocks() const { return span_bytes / kBlockBytes; }

  friend bool operator==(const Layout&, const Layout&) = default;
};

struct LayoutResult {
  MetaStatus status = MetaStatus::ok;  // device_too_small, device_too_large, malformed (slots)
  Layout layout;
};

// The largest data area that fits. For `internal`, meta_device_bytes is ignored. beyond_bytes: span_of() the volumes behind the lowest.
LayoutResult make_layout(Placement placement, uint64_t data_device_bytes, uint64_t meta_device_bytes, uint8_t bitmap_slots,
                         bool digests = false, uint64_t beyond_bytes = 0);

// Where the four copies must be on a device of this size; also what wipe-md clears. Nothing if the device is
// too small.
struct SuperblockPlace {
  bool fits = false;
  uint64_t offset = 0;
};
SuperblockPlace find_superblock(Placement placement, uint64_t meta_device_bytes);

}  // namespace lockstep
