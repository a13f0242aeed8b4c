// An operation on its way through the write path: a client's request, a flush that settles, or a resync chunk's hold on its range.
#pragma once

#include "base/ids.h"
#include "base/range.h"
#include "base/time.h"
#include "core/io.h"

namespace lockstep {

enum class OpStage : uint8_t {
  gate,      // behind an overlapping operation
  fetching,  // of a heal: the bytes are being read from the copy that has them
  intent,    // its extents are being made durable, or wait for room among the hot ones
  running,   // legs are out
  finished,  // every leg is in; waits until this node may answer
};

struct Op {
  OpId id;  // zero: free slot
  OpStage stage = OpStage::gate;
  OpKind kind = OpKind::read;
  Range range;
  bool fua = false;
  ClientIo client;  // zero: none waits (any more)
  PayloadId payload;
  uint64_t position = 0;  // of a change; of a flush: everything up to here is covered
  bool in_gate = false;
  bool intent_held = false;
  bool local_pending = false;
  bool local_failed = false;
  Seat heals_from = kNoSeat;  // of a heal: whose copy of the range is right
  Seat looks_at = kNoSeat;    // of a read: whether that copy can be read at all, and if not ...
  Seat heals_from_then = kNoSeat;
  SeatSet failed;   // of a read: copies that could not be read
  int rereads = 0;  // of a read: how often all of them had failed
  Instant again;    // then, when it is tried once more
  SeatSet waiting;  // peers whose acknowledgement is missing
  SeatSet lost;     // of those, the ones whose link broke: they count as missing until they are out of the set
  IoStatus status = IoStatus::ok;
  Instant started;
};

}  // namespace lockstep
