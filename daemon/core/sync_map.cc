#include "core/sync_map.h"

#include <algorithm>

#include "core/replica_impl.h"

namespace lockstep {

namespace {

constexpr uint64_t kMostBlocks = uint64_t{1} << 20;  // that are looked at; where a map has nothing there is nothing to look at
constexpr size_t kMostSteps = 4096;                  // changes in any of the maps

class Walk {
 public:
  Walk(const ReplicaImpl& r, uint64_t end) : r_(r), end_(end) {
    for (Seat seat : r.data_peers()) {
      const Peer& peer = r.peer(seat);
      const bool without_disk = peer.met && !peer.disk_usable;
      const bool resync = r.source.began(seat) && !r.source.held_back(seat);
      maps_.push_back({&r.dirty.of(seat), without_disk, resync});
    }
  }

  uint64_t end() const { return end_; }
  void end_at(uint64_t end) { end_ = end; }
  bool anything_marked() const {
    return std::any_of(maps_.begin(), maps_.end(), [](const Map& map) { return map.bits->count() > 0; });
  }

  uint32_t flags_at(uint64_t block) const {
    if (!r_.disk_usable) return kSyncOut;
    uint32_t flags = kSyncLocalOnly;
    for (const Map& map : maps_) {
      if (!lacks(map, block)) {
        flags &= ~kSyncLocalOnly;
        continue;
      }
      flags |= kSyncOut | (map.resync ? kSyncUnderWay : 0);
    }
    return flags;
  }

  // Where one of the maps says something else than at `block`.
  uint64_t next_change(uint64_t block) const {
    uint64_t next = end_;
    if (!r_.disk_usable) return next;
    for (const Map& map : maps_) {
      if (map.without_disk || map.bits->count() == 0 || block >= map.bits->size()) continue;
      const uint64_t change = lacks(map, block) ? map.bits->next_clear(block, next) : map.bits->next_set(block, next);
      next = std::min(next, change);
    }
    return next;
  }

 private:
  struct Map {
    const BitVector* bits;
    bool without_disk;
    bool resync;
  };
  static bool lacks(const Map& map, uint64_t block) {
    return map.without_disk || (block < map.bits->size() && map.bits->test(block));
  }

  const ReplicaImpl& r_;
  uint64_t end_;
  std::vector<Map> maps_;
};

}  // namespace

std::vector<SyncRun> sync_runs(const ReplicaImpl& replica, uint64_t first, uint64_t count, size_t most) {
  Walk walk(replica, first + count);
  if (walk.anything_marked()) walk.end_at(first + std::min(count, kMostBlocks));
  const uint64_t end = walk.end();
  std::vector<SyncRun> runs;
  uint64_t at = first;
  for (size_t step = 0; step < kMostSteps && at < end; ++step) {
    const uint32_t flags = walk.flags_at(at);
    const uint64_t next = walk.next_change(at);
    const bool same = !runs.empty() && runs.back().flags == flags;
    if (!same && runs.size() == most) break;
    if (same) {
      runs.back().blocks += next - at;
    } else {
      runs.push_back({next - at, flags});
    }
    at = next;
  }
  return runs;
}

}  // namespace lockstep
