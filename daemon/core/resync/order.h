// In which order a pass of a resync goes over what is dirty: by address, or the extents first that were last written longest ago, so that what
// clients write again and again, and will write to both copies while the resync runs, is copied last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/dirty/dirty_maps.h"

namespace lockstep {

class ResyncOrder {
 public:
  // Everything once more. By age as far as this run knows ages: what was dirty at its start, or only the peer says is, is the oldest, and goes by
  // address.
  void begin_pass(const DirtyMaps& maps, Seat peer, bool by_age);
  // The first dirty block that was not passed; the number of blocks: none, the pass is over.
  uint64_t next(const BitVector& dirty);
  // Of the extent of block `end - 1` all that lies before `end` was looked at; by address, of the whole map.
  void pass(uint64_t end);
  void pass_all();
  bool over() const { return by_age_ ? place_ >= extents_.size() : cursor_ >= blocks_; }

  bool by_age() const { return by_age_; }
  size_t place() const { return place_; }  // of the extent at work, by age
  // Whether this extent is among the next `reach` ones behind that place.
  bool soon(size_t place, uint64_t extent, uint64_t reach) const;

 private:
  bool by_age_ = false;
  uint64_t blocks_ = 0;
  uint64_t cursor_ = 0;            // next block to look at; by age, in the extent at `place_`
  std::vector<uint32_t> extents_;  // by age
  size_t place_ = 0;
};

}  // namespace lockstep
