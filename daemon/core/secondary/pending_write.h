// A change that came over a link and is on its way to this copy's disk.
#pragma once

#include "base/ids.h"
#include "base/range.h"
#include "core/io.h"
#include "core/tenure.h"

namespace lockstep {

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
