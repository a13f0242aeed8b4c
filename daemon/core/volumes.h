// Several volumes of a resource in one address space. The core knows one range of bytes: the volumes lie in it one after the other in the
// order of their numbers, each from the beginning of an extent, so that no extent, and no bit of any map, belongs to two of them. What lies
// between them belongs to nobody and reads as zeroes. That is what keeps one order of writes over all volumes (docs/adr/0022).
#pragma once

#include <cstdint>
#include <optional>

#include "base/range.h"
#include "core/durable.h"
#include "core/tenure.h"

namespace lockstep {

// Where volume `index` begins: the sum of those before it, each rounded up to whole extents. With index == size(): where the next one would.
uint64_t volume_base(const VolumeShapes& volumes, size_t index);
// The end of the last one; 0 without any. Of one volume: its size.
uint64_t span_of(const VolumeShapes& volumes);
inline uint64_t span_of(const Tenure& tenure) { return span_of(tenure.volumes); }

// What a node's disks have room for. A record without a list is that of one volume, number 0.
VolumeShapes volumes_of(const NodeRecord& record);

inline uint64_t blocks_of_volume(const VolumeShape& volume) { return (volume.size_bytes + kBlockBytes - 1) / kBlockBytes; }
// Of each volume, in their order: blocks, say.
using VolumeCounts = InplaceVector<uint64_t, kMaxVolumes>;

// Not empty, and nothing of it outside a volume or in two.
bool within_a_volume(const VolumeShapes& volumes, const Range& range);

// Where an address lies; nothing between volumes and behind the last.
struct VolumePlace {
  size_t index = 0;
  uint64_t offset = 0;  // in the volume
};
std::optional<VolumePlace> place_of(const VolumeShapes& volumes, uint64_t address);

bool same_volumes(const VolumeShapes& one, const VolumeShapes& other);  // the same numbers
bool room_for(const VolumeShapes& wanted, const VolumeShapes& room);    // the same numbers, and each is as large at least
bool in_order(const VolumeShapes& volumes);                             // numbers ascend, and no span is beyond 2^63

}  // namespace lockstep
