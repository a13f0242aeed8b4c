// The superblock: a NodeRecord and the layout, in one sector. docs/ondisk.md has the bytes.
#pragma once

#include <cstdint>

#include "core/durable.h"
#include "meta/layout.h"
#include "meta/sector.h"

namespace lockstep {

// Bits of the field of features, which a reader must understand. They follow from what the superblock says.
constexpr uint32_t kFeatureDigests = 1;  // the layout has pages of block digests
constexpr uint32_t kFeatureVolumes = 2;  // several volumes: NodeRecord::volumes at the end

struct Superblock {
  uint64_t sequence = 0;         // grows by one with each write; 0 is never written
  uint32_t parent_checksum = 0;  // superblock_checksum() of the write before; 0 for the first
  uint16_t volume = 0;           // the lowest
  Layout layout;
  NodeRecord record;
  friend bool operator==(const Superblock&, const Superblock&) = default;
};

// Writes copy `copy` into `sector`. The largest record that the core can make fits (checked at compile time).
void encode_superblock(const Superblock& superblock, uint8_t copy, SectorSpan sector);

struct DecodedSuperblock {
  MetaStatus status = MetaStatus::no_metadata;
  uint8_t copy = 0;
  uint32_t checksum = 0;  // the same for all copies of one write
  Superblock superblock;  // when ok
};
DecodedSuperblock decode_superblock(SectorView sector);

// Names the content of one write: CRC32C of everything behind the copy's number.
uint32_t superblock_checksum(SectorView sector);

}  // namespace lockstep
