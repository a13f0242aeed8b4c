#include "meta/bit_page.h"

#include <algorithm>

#include "base/endian.h"

namespace lockstep {

static_assert(kWordsPerPage * sizeof(uint64_t) == kSectorPayloadBytes);

void encode_bit_page(const PageId& id, uint64_t sequence, const BitPage& bits, SectorSpan sector) {
  std::byte* to = payload_of(sector).data();
  for (size_t i = 0; i < kWordsPerPage; ++i) put_le(to + i * sizeof(uint64_t), bits[i]);
  seal_sector(sector, {id.kind, id.index, id.page, sequence, id.disk});
}

std::optional<DecodedPage> decode_bit_page(const PageId& id, SectorView sector) {
  const OpenedSector opened = open_sector(sector);
  if (opened.status != MetaStatus::ok) return std::nullopt;
  const SectorHeader& header = opened.header;
  const bool expected = header.kind == id.kind && header.index == id.index && header.page == id.page && header.disk == id.disk;
  if (!expected) return std::nullopt;
  if (id.kind == SectorKind::intent && header.sequence % 2 != id.index) return std::nullopt;
  DecodedPage page;
  page.sequence = header.sequence;
  const std::byte* from = payload_of(sector).data();
  for (size_t i = 0; i < kWordsPerPage; ++i) page.bits[i] = get_le<uint64_t>(from + i * sizeof(uint64_t));
  return page;
}

BitPage all_ones_page() {
  BitPage bits;
  bits.fill(~uint64_t{0});
  return bits;
}

ChosenIntent choose_intent(const IntentSlots& found) {
  ChosenIntent chosen;
  chosen.bits = all_ones_page();
  const DecodedPage* newest = nullptr;
  for (const auto& slot : found.slots) {
    if (slot && (newest == nullptr || slot->sequence > newest->sequence)) newest = &*slot;
  }
  if (newest == nullptr) return chosen;
  chosen.sequence = newest->sequence;
  if (found.io_error) return chosen;
  chosen.readable = true;
  chosen.bits = newest->bits;
  return chosen;
}

}  // namespace lockstep
