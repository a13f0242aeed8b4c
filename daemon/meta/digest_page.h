// Pages of block digests: what the blocks of a data area should hold, one sector for each fifth of an extent. Of a block that has none the
// digest is all zeroes.
//
// A page counts only while the extent's intent bit is clear: before that bit is cleared the page is made durable, and after it is set the
// page says what was there before (docs/adr/0020). So a page is written in place: one that is torn belongs to an extent whose bit is set, or
// costs knowledge and no data. Pages of 205 blocks, so that no page has blocks of two extents.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/durable.h"
#include "core/io.h"
#include "meta/sector.h"

namespace lockstep {

using BlockDigest = std::array<std::byte, kDigestBytes>;
constexpr BlockDigest kNoDigest{};

constexpr uint64_t kDigestPagesPerExtent = 5;
constexpr uint64_t kDigestsPerPage = (kBlocksPerExtent + kDigestPagesPerExtent - 1) / kDigestPagesPerExtent;
static_assert(kDigestsPerPage * kDigestBytes <= kSectorPayloadBytes);

using DigestPage = std::array<BlockDigest, kDigestsPerPage>;

// Pages are numbered through: those of extent e are 5 * e to 5 * e + 4. The last one of an extent has a place to spare.
constexpr uint64_t digest_page_of(uint64_t block) {
  return block / kBlocksPerExtent * kDigestPagesPerExtent + block % kBlocksPerExtent / kDigestsPerPage;
}
constexpr uint64_t first_block_of_digest_page(uint64_t page) {
  return page / kDigestPagesPerExtent * kBlocksPerExtent + page % kDigestPagesPerExtent * kDigestsPerPage;
}
constexpr uint64_t place_in_digest_page(uint64_t block) { return block % kBlocksPerExtent % kDigestsPerPage; }

void encode_digest_page(uint64_t page, const Uuid& disk, const DigestPage& digests, SectorSpan sector);
// Nothing unless the sector is intact and is exactly this page of this metadata.
std::optional<DigestPage> decode_digest_page(uint64_t page, const Uuid& disk, SectorView sector);

}  // namespace lockstep
