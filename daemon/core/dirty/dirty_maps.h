// The dirty bitmaps of one copy, one per peer: blocks in which that peer's copy may differ from this one. A bit is cleared only
// on proof (P4): a flush of the peer submitted after its copy of the block was written, or a decided join.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/range.h"
#include "core/context.h"
#include "core/dirty/bit_vector.h"

namespace lockstep {

class DirtyMaps {
 public:
  DirtyMaps(Context& context, std::array<BitVector, kMaxDataNodes> loaded, uint64_t blocks);

  // The maps are about the first `blocks` of the disk: the volume. What lies beyond belongs to nobody, and no bit is kept of it. Where a volume
  // becomes larger, what is new is in doubt against every node but those of `same_there`.
  void cover(uint64_t blocks, SeatSet same_there = {});

  // A node that the configuration has now: everything is in doubt there. One that it has no more: nothing is kept against it from here on, and
  // the record must not say that its disk is remembered. Of a node without a map every question is answered as if nothing were marked.
  void add(Seat peer);
  void remove(Seat peer);

  uint64_t covered() const { return covered_; }  // blocks
  const BitVector& of(Seat peer) const { return maps_[peer.value].bits; }
  void mark(Seat peer, const Range& range);
  void mark_blocks(Seat peer, uint64_t first, uint64_t count);
  void mark_all(Seat peer);
  // Every block of every set extent.
  void mark_extents(Seat peer, const BitVector& extents);
  void clear(Seat peer, const Range& range);
  void clear_all(Seat peer);
  // What is marked for this peer in this extent is on stable storage: in every version of its pages that a crash could leave behind.
  bool durable(Seat peer, uint64_t extent) const;
  bool durable(Seat peer, const Range& range) const;
  // Of what this peer lacks; kLongAgo: before this run, or only the peer says that it lacks it.
  Instant last_written(Seat peer, uint64_t extent) const { return maps_[peer.value].written[extent]; }

  void pump();
  bool done(MetaToken token, bool ok);  // true if the token was ours
  void stop() { failed_ = true; }
  bool idle() const;

 private:
  struct Page {
    bool dirty = false;
    bool writing = false;
    MetaToken token;
    uint64_t begun = 0;   // number of the last write of it,
    uint64_t stored = 0;  // and of the last one that is done
  };
  struct Map {
    BitVector bits;
    std::vector<Page> pages;
    // Of each extent: the last write that was begun before a bit was set in it. Whichever came after it has that bit, if it is still set.
    std::vector<uint64_t> marked;
    std::vector<Instant> written;  // by extent: its last write that this peer lacks
  };
  void make(Map& map);
  void touch(Map& map, uint64_t first, uint64_t count);

  Context& ctx_;
  std::array<Map, kMaxDataNodes> maps_;
  uint64_t blocks_;      // of the disk
  uint64_t covered_;     // of the volume
  uint64_t writes_ = 0;  // begun, of pages of any map
  bool failed_ = false;
};

}  // namespace lockstep
