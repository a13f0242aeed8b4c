#include "meta/digest_page.h"

#include <cstring>

namespace lockstep {

void encode_digest_page(uint64_t page, const Uuid& disk, const DigestPage& digests, SectorSpan sector) {
  const auto payload = payload_of(sector);
  std::memcpy(payload.data(), digests.data(), sizeof(DigestPage));
  std::memset(payload.data() + sizeof(DigestPage), 0, payload.size() - sizeof(DigestPage));
  SectorHeader header;
  header.kind = SectorKind::digests;
  header.index = static_cast<uint8_t>(page % kDigestPagesPerExtent);
  header.page = static_cast<uint32_t>(page / kDigestPagesPerExtent);
  header.disk = disk;
  seal_sector(sector, header);
}

std::optional<DigestPage> decode_digest_page(uint64_t page, const Uuid& disk, SectorView sector) {
  const OpenedSector opened = open_sector(sector);
  if (opened.status != MetaStatus::ok) return std::nullopt;
  const SectorHeader& header = opened.header;
  const bool expected = header.kind == SectorKind::digests && header.index == page % kDigestPagesPerExtent &&
                        header.page == page / kDigestPagesPerExtent && header.disk == disk;
  if (!expected) return std::nullopt;
  DigestPage digests;
  std::memcpy(digests.data(), payload_of(sector).data(), sizeof(DigestPage));
  return digests;
}

}  // namespace lockstep
