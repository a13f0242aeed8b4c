// Pages of the intent map and of the dirty bitmaps: 500 words of bits in one sector. Bit i of the map is bit
// i % 64 of word i / 64 of page i / 32000.
//
// An intent page has two slots, written in turn (slot = sequence % 2), so that a torn write leaves the page
// before it: exactly what was durable before that write, which was never answered. A bitmap page is written
// in place. Whatever is unreadable counts as all ones, which costs a resync and loses nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "core/durable.h"
#include "meta/sector.h"

namespace lockstep {

struct PageId {
  SectorKind kind = SectorKind::intent;  // intent or bitmap
  uint8_t index = 0;                     // intent: slot; bitmap: peer
  uint32_t page = 0;
  Uuid disk;
};

inline PageId intent_page_id(uint32_t page, uint64_t sequence, const Uuid& disk) {
  return {SectorKind::intent, static_cast<uint8_t>(sequence % 2), page, disk};
}
inline PageId bitmap_page_id(Seat peer, uint32_t page, const Uuid& disk) { return {SectorKind::bitmap, peer.value, page, disk}; }

void encode_bit_page(const PageId& id, uint64_t sequence, const BitPage& bits, SectorSpan sector);

struct DecodedPage {
  uint64_t sequence = 0;
  BitPage bits{};
};
// Nothing unless the sector is intact and is exactly this page of this metadata.
std::optional<DecodedPage> decode_bit_page(const PageId& id, SectorView sector);

BitPage all_ones_page();

// The newest intact slot of an intent page. A slot that could not even be read (an I/O error, not a torn
// write) may have been the newest, so that the page then counts as all ones; the sequence goes on from what
// is known.
struct IntentSlots {
  bool io_error = false;
  std::optional<DecodedPage> slots[2];
};
struct ChosenIntent {
  bool readable = false;
  uint64_t sequence = 0;
  BitPage bits{};
};
ChosenIntent choose_intent(const IntentSlots& found);

}  // namespace lockstep
