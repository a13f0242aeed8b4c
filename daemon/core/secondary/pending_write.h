// A change that came over a link and is on its way to this copy's disk.
#pragma once

#include <cstddef>

#include "base/ids.h"
#include "base/range.h"
#include "core/io.h"
#include "core/tenure.h"

namespace lockstep {

// Messages of a peer that wait here until they may be done: more than a Primary may have in flight. Beyond it the peer breaks the protocol.
constexpr size_t kMaxDeferred = 8192;

struct PendingWrite {
  Seat from;
  LinkId link;
  Stamp stamp;
  OpId op;
  OpKind kind = OpKind::write;
  Range range;
  bool fua = false;
  PayloadId payload;
  BlockMask zeroes = 0;
};

}  // namespace lockstep
