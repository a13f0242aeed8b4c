// What an attach makes of the record before anything else, durably: a new run, on this boot, what the end of the boot before may
// have cost, and of which peers it keeps account no more. Pure; the daemon and the simulator use it.
#pragma once

#include "core/dirty/bit_vector.h"
#include "core/durable.h"

namespace lockstep {

struct Attach {
  Boot boot;                    // of the machine now
  uint64_t token = 0;           // of this run (acquaintance.h)
  SeatSet data_nodes;           // configured
  bool volatile_cache = false;  // the disk may lose what was written and not flushed when it loses power
};

// `intent`: as read; pages that cannot be read are all ones.
void begin_attach(NodeRecord& record, const BitVector& intent, const Attach& attach);

}  // namespace lockstep
