// What two copies may differ in, as far as one of them knows: its bitmap for the other, and every extent of its intent map.
#pragma once

#include <algorithm>

#include "core/dirty/bit_vector.h"
#include "core/durable.h"
#include "core/message.h"

namespace lockstep {

// Runs of blocks that are set one by one or by their extents: in order, merged, and none from block `end_of_volume` on.
template <class Each>
void for_each_run(BitVector dirty, const BitVector& extents, uint64_t end_of_volume, Each each) {
  for (uint64_t i = extents.next_set(0); i < extents.size(); i = extents.next_set(i + 1))
    dirty.set_range(i * kBlocksPerExtent, kBlocksPerExtent);
  dirty.clear_range(end_of_volume, dirty.size());
  for (uint64_t first = dirty.next_set(0); first < dirty.size();) {
    const uint64_t end = dirty.next_clear(first);
    each(BlockRun{first, end - first});
    first = dirty.next_set(end);
  }
}

// The parts of a range of at most kLookBlocks blocks whose bits are all set, or all clear, in order.
template <class Each>
void for_each_part(const Range& range, BlockMask mask, Each each) {
  const uint64_t blocks = (range.length + kBlockBytes - 1) / kBlockBytes;
  const auto bit = [mask](uint64_t block) { return (mask >> block & 1) != 0; };
  for (uint64_t first = 0; first < blocks;) {
    uint64_t end = first + 1;
    while (end < blocks && bit(end) == bit(first)) ++end;
    const uint64_t offset = first * kBlockBytes;
    each(Range{range.offset + offset, std::min(end * kBlockBytes, range.length) - offset}, bit(first));
    first = end;
  }
}

}  // namespace lockstep
