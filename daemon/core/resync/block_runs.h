// What two copies may differ in, as far as one of them knows: its bitmap for the other, and every extent of its intent map.
#pragma once

#include "core/dirty/bit_vector.h"
#include "core/durable.h"
#include "core/message.h"

namespace lockstep {

// Runs of blocks, in order, merged.
template <class Each>
void for_each_run(BitVector dirty, const BitVector& extents, Each each) {
  for (uint64_t i = extents.next_set(0); i < extents.size(); i = extents.next_set(i + 1))
    dirty.set_range(i * kBlocksPerExtent, kBlocksPerExtent);
  for (uint64_t first = dirty.next_set(0); first < dirty.size();) {
    const uint64_t end = dirty.next_clear(first);
    each(BlockRun{first, end - first});
    first = dirty.next_set(end);
  }
}

}  // namespace lockstep
