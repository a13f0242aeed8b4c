#include "core/promotion.h"

namespace lockstep {

Reason promotion_obstacle(const PromotionFacts& facts) {
  if (facts.memory_is_older) return Reason::older_state;
  if (!facts.disk_usable) return Reason::no_disk;
  if (!facts.used) return Reason::never_used;
  if (facts.lacks_room) return Reason::size_too_small;
  if (facts.primary_is_met) return Reason::peer_is_primary;
  if (facts.was_left) return Reason::different_history;
  if (facts.inconsistent) return Reason::copy_inconsistent;
  if (!facts.member) return Reason::no_current_copy;
  if (!facts.may_decide) return Reason::no_quorum;
  if (facts.lost_its_cache) return Reason::copy_doubtful;
  return Reason::none;
}

}  // namespace lockstep
