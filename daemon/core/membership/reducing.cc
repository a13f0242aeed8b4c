// The set is reduced only to copies that have what was acknowledged on stable storage. Protocol C acknowledges what is in a disk's cache;
// the write is safe as long as the caches of all members are not lost. When a member leaves, the copies that stay answer for what was
// acknowledged before: so the node that proposes the smaller set first has every member of it flush, itself included, once a majority has
// promised it their votes (a Primary before it has no lease from then on, and acknowledges nothing more), and itself acknowledges nothing
// until it is known whether the set was reduced. Without that, a node that loses power within its promotion comes back as the only member, without writes
// that the copy which the promotion left behind still has (found by the simulator, seed 48408).
#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr uint64_t kRoundOpBit = uint64_t{1} << 61;  // in the id of a flush that a round asks for; no other has it
}

// What this node found and proposes again was flushed by whoever proposed it first.
bool Membership::reduces_the_set(const Tenure& value) const {
  return adopted() && round_ && value.origin == round_->ballot() && !(adopted()->members - value.members).empty();
}

// Who else is to flush. Without a Primary nothing was written since the hand-over, which was flushed everywhere.
SeatSet Membership::peers_to_flush(const Tenure& value) const {
  SeatSet peers;
  for (Seat seat : value.members - SeatSet{r_.self()}) {
    if (holds_tenure() && r_.peer(seat).replicating && !MUTANT(proposer_flushes_alone)) peers.insert(seat);
  }
  return peers;
}

// False: the round waits for the flushes, and evaluate() asks again. A member that is lost meanwhile is not in what is proposed then.
bool Membership::flushed_for(const Tenure& value) {
  if (!reduces_the_set(value) || MUTANT(reduced_without_flush)) return true;
  if (round_flush_ == RoundFlush::none) begin_round_flush(value.members.contains(r_.self()) && r_.disk_usable);
  const SeatSet peers = peers_to_flush(value);
  for (Seat seat : peers - round_asked_to_flush_) r_.send(seat, FlushRequest{stamp(), round_flush_op_});
  round_asked_to_flush_ = round_asked_to_flush_ | peers;
  return round_flush_ == RoundFlush::done && (peers - round_flushed_).empty();
}

void Membership::begin_round_flush(bool own_disk) {
  round_flushed_ = round_asked_to_flush_ = {};
  round_flush_op_ = {kRoundOpBit | r_.ctx.fresh_id()};
  round_flush_ = own_disk ? RoundFlush::running : RoundFlush::done;
  if (!own_disk) return;
  r_.disk.submit(OpKind::flush, {}, false, {}, [this, ballot = round_->ballot()](IoStatus status) {
    if (status != IoStatus::ok) r_.disk_failed(Reason::disk_failed);
    if (!round_ || round_->ballot() != ballot) return;
    round_flush_ = RoundFlush::done;
    round_started_ = r_.ctx.now;  // the voters have their time from here on
  });
}

// As with a write that is not answered: a peer that does not flush in time is lost too.
void Membership::give_up_unflushed() {
  if (round_flush_ == RoundFlush::none || !round_ || round_->proposed()) return;
  for (Seat seat : round_asked_to_flush_ - round_flushed_) {
    if (r_.peer(seat).replicating) r_.close_link(seat, Reason::acknowledgement_timeout);
  }
}

bool Membership::flush_reply(Seat from, OpId op, IoStatus status) {
  if ((op.value & kRoundOpBit) == 0) return false;
  if (status != IoStatus::ok) {
    r_.write_path.refused_by(from);
  } else if (round_ && op == round_flush_op_) {
    round_flushed_.insert(from);
    round_started_ = r_.ctx.now;
  }
  return true;
}

Instant Membership::round_ends_at() const {
  const bool flushing = round_flush_ != RoundFlush::none && round_ && !round_->proposed();
  return round_started_ + (flushing ? r_.ctx.config.ack_timeout : r_.ctx.config.round_timeout);
}

// From the flush on until the outcome is known: what completes here after the flush may be in this disk's cache alone.
bool Membership::acknowledgements_wait() const {
  if (MUTANT(ack_when_loss_proposed)) return false;
  if (round_flush_ != RoundFlush::none) return true;
  return undecided_ && adopted() && !(adopted()->members - undecided_->members).empty();
}

}  // namespace lockstep
