#include "core/attach.h"

#include "base/mutation.h"
#include "core/membership/acquaintance.h"

namespace lockstep {

namespace {

// The boot of the last attach has ended, and extents were set whose writes need not have been flushed. Only a clean hand-over says that
// everything was, however the machine ended after it: nothing is written while there is no Primary.
bool may_lack_writes(const NodeRecord& record, const BitVector& intent, const Boot& boot) {
  if (record.boot == boot || intent.count() == 0) return false;
  const auto& tenure = record.adopted;
  return !(tenure && tenure->clean && tenure->members.contains(record.node));
}

// No bitmap is kept against a node that is not configured: the one on disk is worth nothing from here on, also when the node comes back.
void forget_strangers(NodeRecord& record, SeatSet data_nodes) {
  for (uint8_t i = 0; i < kMaxDataNodes; ++i) {
    if (!data_nodes.contains(Seat{i}) && !MUTANT(stranger_remembered)) record.peers[i].disk = {};
  }
}

}  // namespace

void begin_attach(NodeRecord& record, const BitVector& intent, const Attach& attach) {
  begin_run(record.memory.lineage, attach.token);
  if (attach.volatile_cache && may_lack_writes(record, intent, attach.boot) && !MUTANT(lost_cache_not_marked))
    record.doubtful = true;
  record.boot = attach.boot;
  forget_strangers(record, attach.data_nodes);
}

}  // namespace lockstep
