// One resource on one node, as a pure state machine: step(now, event) -> effects.
//
// It sees ids, ranges and outcomes; never payload bytes, file descriptors, clocks, randomness or threads. Its shells are the
// daemon (daemon/shell) and the simulator (tests/sim). One shell calls it from one thread; it keeps no reference to anything
// that it is given. Memory is bounded by CoreConfig and by the size of the volume (bitmaps).
//
// The pure-core shape, and the reasons against callbacks, are those that ScyllaDB's raft/fsm.hh states at its head.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "base/time.h"
#include "core/config.h"
#include "core/dirty/bit_vector.h"
#include "core/durable.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/snapshot.h"
#include "core/sync_map.h"

namespace lockstep {

// What was read from the metadata at attach. The shell has already raised `record.start` by one, set `record.boot`, and made
// that durable. Pages that could not be read are all ones. Absent bitmaps are empty vectors.
struct Loaded {
  NodeRecord record;
  BitVector intent;                              // one bit an extent
  std::array<BitVector, kMaxDataNodes> bitmaps;  // one bit a block, by peer
  std::array<uint64_t, 8> intent_sequences{};    // last sequence of each intent page
};

class ReplicaImpl;

class Replica {
 public:
  Replica(const CoreConfig& config, Loaded loaded, Instant now);
  ~Replica();
  Replica(Replica&&) noexcept;
  Replica& operator=(Replica&&) noexcept;

  // Effects are appended to `out`.
  void step(Instant now, const Event& event, Effects& out);
  // When the next Tick is due, kNever if none is.
  Instant next_deadline() const;
  Snapshot inspect(Instant now) const;
  // The durable record as this replica wants it to be (for dump-md of a running resource, and for the simulator's checks).
  const NodeRecord& record() const;
  // Blocks in which that peer's copy may differ from this one; valid until the next step. (For the simulator's checks.)
  const BitVector& differing(Seat peer) const;
  // Whether every copy has what this one has: see core/sync_map.h.
  std::vector<SyncRun> sync_runs(uint64_t first, uint64_t count, size_t most) const;
  // What a client would be given now is what this node's disk has: it is Primary, has its lease, and its copy is current.
  bool own_disk_counts(Instant now) const;

 private:
  std::unique_ptr<ReplicaImpl> impl_;
};

}  // namespace lockstep
