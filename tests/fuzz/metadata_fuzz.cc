// Metadata sectors from an attacker or a broken disk: no input may crash, and what is accepted must survive
// being written and read again. The input is up to four sectors; their checksums are put right (unless the
// first byte is odd), or the fuzzer would never get behind them.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/volumes.h"
#include "meta/bit_page.h"
#include "meta/digest_page.h"
#include "meta/superblock_quorum.h"
#include "meta/volume_label.h"

using namespace lockstep;

namespace {

void check_round_trip(const DecodedSuperblock& decoded) {
  if (decoded.status != MetaStatus::ok) return;
  Sector again;
  encode_superblock(decoded.superblock, decoded.copy, SectorSpan(again));
  const DecodedSuperblock reread = decode_superblock(SectorView(again));
  CHECK(reread.status == MetaStatus::ok);
  CHECK(reread.superblock == decoded.superblock);
}

void check_page(const Sector& sector) {
  const OpenedSector opened = open_sector(SectorView(sector));
  if (opened.status != MetaStatus::ok) return;
  const PageId id{opened.header.kind, opened.header.index, opened.header.page, opened.header.disk};
  const auto page = decode_bit_page(id, SectorView(sector));
  if (!page) return;
  Sector again;
  encode_bit_page(id, page->sequence, page->bits, SectorSpan(again));
  CHECK(std::equal(again.begin() + kSectorHeaderBytes, again.end(), sector.begin() + kSectorHeaderBytes));
}

void check_digests(const Sector& sector) {
  const OpenedSector opened = open_sector(SectorView(sector));
  if (opened.status != MetaStatus::ok) return;
  const uint64_t page = uint64_t{opened.header.page} * kDigestPagesPerExtent + opened.header.index;
  const auto digests = decode_digest_page(page, opened.header.disk, SectorView(sector));
  if (!digests) return;
  Sector again;
  encode_digest_page(page, opened.header.disk, *digests, SectorSpan(again));
  CHECK(decode_digest_page(page, opened.header.disk, SectorView(again)) == digests);
}

void check_label(const Sector& sector) {
  const DecodedLabel decoded = decode_volume_label(SectorView(sector));
  if (decoded.status != MetaStatus::ok) return;
  Sector again;
  encode_volume_label(decoded.label, decoded.copy, SectorSpan(again));
  const DecodedLabel reread = decode_volume_label(SectorView(again));
  CHECK(reread.status == MetaStatus::ok && reread.label == decoded.label);
}

Sector make_label(uint8_t copy, const uint8_t* bytes, size_t size) {
  Sector sector;
  encode_volume_label({Uuid::from_words(1, 2), Uuid::from_words(3, 4), {0}, 1, kMinDataBytes}, copy, SectorSpan(sector));
  for (size_t i = 0; i < std::min(size, kSectorBytes - 12); ++i) sector[12 + i] ^= std::byte{bytes[i]};
  return sector;
}

// A valid sector to start from, of a volume with digests or without, of one volume or three; the input is laid over its payload and the
// fields of its header that matter.
Sector make_sector(uint8_t copy, bool digests, bool several, const uint8_t* bytes, size_t size) {
  Superblock superblock;
  superblock.sequence = 2;
  VolumeShapes behind;
  if (several) behind.push_back({2, 8 << 20});
  if (several) behind.push_back({3, 5 << 20});
  superblock.layout = make_layout(Placement::internal, 64 << 20, 0, kDefaultBitmapSlots, digests, span_of(behind)).layout;
  if (several) superblock.record.volumes.push_back({0, superblock.layout.data_bytes});
  for (const VolumeShape& shape : behind) superblock.record.volumes.push_back(shape);
  superblock.record.node = {0};
  superblock.record.disk = Uuid::from_words(1, 2);
  superblock.record.size_bytes = superblock.layout.span_bytes;
  Sector sector;
  encode_superblock(superblock, copy, SectorSpan(sector));
  for (size_t i = 0; i < std::min(size, kSectorBytes - 12); ++i) sector[12 + i] ^= std::byte{bytes[i]};
  return sector;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool reseal = data[0] % 2 == 0;
  const bool digests = data[0] % 4 >= 2;
  const bool several = data[0] % 8 >= 4;
  ++data;
  --size;
  std::array<CopyRead, kSuperblockCopies> reads;
  const size_t share = size / kSuperblockCopies;
  for (uint8_t copy = 0; copy < kSuperblockCopies; ++copy) {
    Sector sector = make_sector(copy, digests, several, data + copy * share, share);
    if (reseal) reseal_sector(SectorSpan(sector));
    reads[copy].decoded = decode_superblock(SectorView(sector));
    check_round_trip(reads[copy].decoded);
    check_page(sector);
    check_digests(sector);
    Sector label = make_label(copy, data + copy * share, share);
    if (reseal) reseal_sector(SectorSpan(label));
    check_label(label);
  }
  const Quorum quorum = choose_superblock(reads);
  CHECK(quorum.repairs <= kSuperblockCopies);
  return 0;
}
