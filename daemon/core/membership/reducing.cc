// The set is reduced only to copies that have what was acknowledged on stable storage. Protocol C acknowledges what is in a disk's cache;
// the write is safe as long as the caches of all members are not lost. When a member leaves, the copies that stay answer for what was
// acknowledged before: so the node that proposes the smaller set first flushes its own disk, once a majority has promised it their votes
// (a Primary before it has no lease from then on, and acknowledges nothing more), and itself acknowledges nothing until it is known
// whether the set was reduced. Without that, a node that loses power within its promotion comes back as the only member, without writes
// that the copy which the promotion left behind still has (found by the simulator, seed 48408).
#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

// What this node found and proposes again was flushed by whoever proposed it first.
bool Membership::reduces_the_set(const Tenure& value) const {
  return adopted() && round_ && value.origin == round_->ballot() && value.members.contains(r_.self()) &&
         !(adopted()->members - value.members).empty();
}

// False: the round waits for the flush, and evaluate() asks again.
bool Membership::flushed_for(const Tenure& value) {
  if (!reduces_the_set(value) || !r_.disk_usable || MUTANT(reduced_without_flush)) return true;
  if (round_flush_ == RoundFlush::none) {
    round_flush_ = RoundFlush::running;
    r_.disk.submit(OpKind::flush, {}, false, {}, [this, ballot = round_->ballot()](IoStatus status) {
      if (status != IoStatus::ok) r_.disk_failed(Reason::disk_failed);
      if (!round_ || round_->ballot() != ballot) return;
      round_flush_ = RoundFlush::done;
      round_started_ = r_.ctx.now;  // the voters have their time from here on
    });
  }
  return round_flush_ == RoundFlush::done;
}

Instant Membership::round_ends_at() const {
  return round_started_ + (round_flush_ == RoundFlush::running ? r_.ctx.config.ack_timeout : r_.ctx.config.round_timeout);
}

// From the flush on until the outcome is known: what completes here after the flush may be in this disk's cache alone.
bool Membership::acknowledgements_wait() const {
  if (MUTANT(ack_when_loss_proposed)) return false;
  if (round_flush_ != RoundFlush::none) return true;
  return undecided_ && adopted() && !(adopted()->members - undecided_->members).empty();
}

}  // namespace lockstep
