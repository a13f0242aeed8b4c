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

  // Both hellos are here and name different histories. Ends with the end of the link.
  void begin(Seat peer);
  void differences(Seat from, const Differences& theirs);
  bool begun(Seat peer) const { return !peer.is_witness() && meetings_[peer.value].begun; }
  void link_changed(Seat peer) { meetings_[peer.value] = {}; }
  // Histories are one again: what was listed is past.
  void over(Seat peer) { extents_[peer.value].reset(); }

  // The extents that may differ, of the last time that the two met in this run, in bytes of the volume; adjoining ones in one range.
  std::vector<Range> listed(Seat peer) const;

 private:
  struct Meeting {
    bool begun = false;
    bool heard_all = false;
    BitVector theirs;
  };
  void close_when_done(Seat peer);

  ReplicaImpl& r_;
  std::array<Meeting, kMaxDataNodes> meetings_;
  std::array<std::optional<BitVector>, kMaxDataNodes> extents_;
};

}  // namespace lockstep
