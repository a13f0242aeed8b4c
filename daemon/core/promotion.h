// The promotion table: what forbids this node to become Primary now, as a pure function of plain facts. Admin gathers them; tests
// go through all of them. Voters' leases are not among them: a round finds out.
#pragma once

#include "core/reason.h"

namespace lockstep {

struct PromotionFacts {
  bool memory_is_older = false;  // somebody has met a later run of this node's memory
  bool disk_usable = false;      // attached and not failed
  bool used = false;             // a tenure was ever adopted here
  bool primary_is_met = false;   // another node holds the tenure, and that very run of its daemon is connected
  bool was_left = false;         // a peer was met that an operator forced out of this history, and nobody forces this one
  bool inconsistent = false;     // this copy is a mixture of old and new
  bool member = false;           // of the adopted set: this copy has every acknowledged write
  bool lost_its_cache = false;   // it is doubtful, another copy of the set may be better, and no operator forces it
  bool lacks_room = false;       // its disks have not the volumes of the tenure, or are too small for them
  bool may_decide = false;       // enough voters answer, or a completed fence breaks the tie
};

// The first obstacle in the order of the table; none: a round may begin.
Reason promotion_obstacle(const PromotionFacts& facts);

}  // namespace lockstep
