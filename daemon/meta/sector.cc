#include "meta/sector.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"

namespace lockstep {

namespace {

constexpr std::array<char, 8> kMagic{'L', 'O', 'C', 'K', 'S', 'T', 'E', 'P'};
constexpr size_t kCrcAt = 8;
constexpr size_t kVersionAt = 12;
constexpr size_t kKindAt = 14;
constexpr size_t kIndexAt = 15;
constexpr size_t kPageAt = 16;
constexpr size_t kSequenceAt = 24;
constexpr size_t kDiskAt = 32;

uint32_t checksum_of(SectorView sector) { return crc32c(sector.subspan(kVersionAt)); }

bool is_known_kind(uint8_t kind) {
  return kind >= static_cast<uint8_t>(SectorKind::superblock) && kind <= static_cast<uint8_t>(SectorKind::label);
}

}  // namespace

void reseal_sector(SectorSpan sector) { put_le(sector.data() + kCrcAt, checksum_of(sector)); }

void seal_sector(SectorSpan sector, const SectorHeader& header) {
  std::fill_n(sector.begin(), kSectorHeaderBytes, std::byte{0});
  std::memcpy(sector.data(), kMagic.data(), kMagic.size());
  put_le(sector.data() + kVersionAt, kMetaVersion);
  sector[kKindAt] = static_cast<std::byte>(header.kind);
  sector[kIndexAt] = static_cast<std::byte>(header.index);
  put_le(sector.data() + kPageAt, header.page);
  put_le(sector.data() + kSequenceAt, header.sequence);
  std::memcpy(sector.data() + kDiskAt, header.disk.bytes.data(), header.disk.bytes.size());
  reseal_sector(sector);
}

OpenedSector open_sector(SectorView sector) {
  OpenedSector opened;
  if (std::memcmp(sector.data(), kMagic.data(), kMagic.size()) != 0) return opened;
  // Checksum before version: later versions keep these two fields where they are, so that rot is not taken
  // for the future.
  opened.status = MetaStatus::damaged;
  if (get_le<uint32_t>(sector.data() + kCrcAt) != checksum_of(sector)) return opened;
  opened.status = MetaStatus::unsupported_version;
  if (get_le<uint16_t>(sector.data() + kVersionAt) != kMetaVersion) return opened;
  opened.status = MetaStatus::malformed;
  const auto kind = static_cast<uint8_t>(sector[kKindAt]);
  if (!is_known_kind(kind)) return opened;
  opened.header.kind = static_cast<SectorKind>(kind);
  opened.header.index = static_cast<uint8_t>(sector[kIndexAt]);
  opened.header.page = get_le<uint32_t>(sector.data() + kPageAt);
  opened.header.sequence = get_le<uint64_t>(sector.data() + kSequenceAt);
  std::memcpy(opened.header.disk.bytes.data(), sector.data() + kDiskAt, opened.header.disk.bytes.size());
  opened.status = MetaStatus::ok;
  return opened;
}

}  // namespace lockstep
