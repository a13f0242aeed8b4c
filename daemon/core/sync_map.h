// Of each part of the resource, whether every copy has it: what clients are told by the NBD context lockstep:sync (docs/nbd.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep {

// Flags of a run. They are part of the surface: clients know their numbers.
// Some copy may differ from this one, or is without a disk; where this node has none, its own.
constexpr uint32_t kSyncOut = 1 << 0;
constexpr uint32_t kSyncUnderWay = 1 << 1;   // and a resync that will bring it there is running
constexpr uint32_t kSyncLocalOnly = 1 << 2;  // no other copy is known to have it

struct SyncRun {
  uint64_t blocks = 0;
  uint32_t flags = 0;
};

class ReplicaImpl;

// The runs of `count` blocks from `first` on, neighbours different; at most `most` of them, and no more than can be found in a moment: what
// is left out at the end has to be asked for again. At least one where `count` is not zero.
std::vector<SyncRun> sync_runs(const ReplicaImpl& replica, uint64_t first, uint64_t count, size_t most);

}  // namespace lockstep
