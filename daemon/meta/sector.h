// The 4 KiB sector: the only unit in which metadata is read and written. Every sector says what it is and
// where it belongs, so that a torn, rotten, misdirected or left-over one is recognised. docs/ondisk.md has
// the bytes.
//
//    0  magic      8  "LOCKSTEP"
//    8  crc32c     4  of bytes 12..4095
//   12  version    2
//   14  kind       1
//   15  index      1  superblock: copy; intent: slot; bitmap: peer; label: copy; digests: fifth of the extent
//   16  page       4
//   20  reserved   4  zero
//   24  sequence   8
//   32  disk      16  drawn by create-md: a sector of an earlier life is not taken for one of this
//   48  reserved  48  zero
//   96  payload 4000
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/uuid.h"
#include "meta/meta_status.h"

namespace lockstep {

constexpr size_t kSectorBytes = 4096;
constexpr size_t kSectorHeaderBytes = 96;
constexpr size_t kSectorPayloadBytes = kSectorBytes - kSectorHeaderBytes;
constexpr uint16_t kMetaVersion = 1;

using SectorSpan = std::span<std::byte, kSectorBytes>;
using SectorView = std::span<const std::byte, kSectorBytes>;
using Sector = std::array<std::byte, kSectorBytes>;

enum class SectorKind : uint8_t { superblock = 1, intent = 2, bitmap = 3, digests = 4, label = 5 };

struct SectorHeader {
  SectorKind kind = SectorKind::superblock;
  uint8_t index = 0;
  uint32_t page = 0;
  uint64_t sequence = 0;
  Uuid disk;
  friend bool operator==(const SectorHeader&, const SectorHeader&) = default;
};

// Writes the header and, last, the checksum over header and payload.
void seal_sector(SectorSpan sector, const SectorHeader& header);

struct OpenedSector {
  MetaStatus status = MetaStatus::no_metadata;  // ok, no_metadata (magic), damaged (checksum), unsupported_version, malformed
  SectorHeader header;                          // when ok
};
OpenedSector open_sector(SectorView sector);

inline std::span<std::byte> payload_of(SectorSpan sector) { return sector.subspan(kSectorHeaderBytes); }
inline std::span<const std::byte> payload_of(SectorView sector) { return sector.subspan(kSectorHeaderBytes); }

// Recomputes the checksum of a sector that was changed by hand. For tests and fuzzing.
void reseal_sector(SectorSpan sector);

}  // namespace lockstep
