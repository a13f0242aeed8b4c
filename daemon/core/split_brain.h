// Two histories of one resource meet (after primary --force): nothing is merged. Both sides tell each other which blocks may differ, as far
// as bitmaps and intent maps know, and stand alone; an operator decides which side's data is kept (AdminOp::discard_history).
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/range.h"
#include "core/dirty/bit_vector.h"
#include "core/message.h"

namespace lockstep {

class ReplicaImpl;

class SplitBrain {
 public:
  explicit SplitBrain(ReplicaImpl& replica) : r_(replica) {}

  // Both hellos are here and name different histories, or one names what the other has given up. Ends with the end of the link.
  void begin(Seat peer);
  void differences(Seat from, const Differences& theirs);
  bool begun(Seat peer) const { return !peer.is_witness() && meetings_[peer.value].begun; }
  void link_changed(Seat peer) { meetings_[peer.value] = {}; }
  // Histories are one again: what was listed is past.
  void over(Seat peer) {
    extents_[peer.value].reset();
    met_[peer.value] = {};
  }

  // A peer was met, in this run, that an operator had forced out of the history that this node is in: it may be Primary there.
  bool left_behind() const;
  const Uuid& history_met(Seat peer) const { return met_[peer.value].history; }  // nil: none

  // The extents that may differ, of the last time that the two met in this run, in bytes of the volume; adjoining ones in one range.
  std::vector<Range> listed(Seat peer) const;

 private:
  struct Meeting {
    bool begun = false;
    bool heard_all = false;
    BitVector mine;
    BitVector theirs;
  };
  void close_when_done(Seat peer);

  ReplicaImpl& r_;
  std::array<Meeting, kMaxDataNodes> meetings_;
  std::array<std::optional<BitVector>, kMaxDataNodes> extents_;
  struct Met {
    Uuid history;
    Uuid parent;
  };
  std::array<Met, kMaxDataNodes> met_{};  // the other histories, in this run
};

}  // namespace lockstep
