// A copy that follows a Primary under protocol A or B: its changes in order, and what has to wait behind them.
#include <utility>

#include "base/mutation.h"
#include "core/following/feed.h"
#include "core/replica_impl.h"

namespace lockstep {

void Secondary::follow(Seat from, const FollowerWrite& request, PayloadId payload) {
  const auto& tenure = r_.membership.adopted();
  const bool from_primary = tenure && tenure->primary && tenure->primary->node == from;
  if (!from_primary || r_.target.source() != from) return r_.release(payload);
  const OpId op{kFeedOpBit | request.position};
  if (!acceptable(from, request.stamp)) {
    if (!r_.disk_usable) r_.send(from, WriteReply{request.stamp, op, IoStatus::io_error});
    return r_.release(payload);
  }
  // One that was not taken must be missed by both: what comes behind it is not taken either, until a resync.
  const bool next = request.position > last_followed_ && request.previous == last_followed_;
  if (!next || too_many_wait() || !in_volume(request.range) || !is_change(request.kind)) {
    r_.release(payload);
    return r_.close_link(from, Reason::protocol_violation);
  }
  last_followed_ = request.position;
  if (request.receipt) r_.send(from, WriteReceived{op});
  const PendingWrite write{from, r_.peer(from).link, request.stamp, op, request.kind, request.range, false, payload, 0};
  ++r_.peer(from).writes_in_flight;
  mark_for_absent(request.range);
  recent_.add(request.position, request.range);
  static_cast<void>(r_.intents.hold(request.range, request.position));
  in_order_.add(request.position, request.after, write);
  go_on_in_order();
}

void Secondary::go_on_in_order() {
  in_order_.pump([this](const PendingWrite& write) { return r_.intents.durable(write.range); },
                 [this](const PendingWrite& write) { submit(write); });
  go_on_behind();
}

void Secondary::go_on_behind() {
  while (!behind_.empty() && in_order_.reached(behind_.front().position)) {
    const Behind next = std::move(behind_.front());
    behind_.pop_front();
    r_.replication_message_now(next.from, next.message, next.payload);
  }
}

void Secondary::give_up_in_order() {
  for (const PendingWrite& write : in_order_.give_up()) finished(write, IoStatus::io_error);
  go_on_behind();  // what is asked for there is refused
}

// A chunk of a resync, a comparison, a flush: they are about what this copy has when all that came before is applied.
bool Secondary::later(Seat from, const Message& message, PayloadId payload) {
  if (const auto* flush = std::get_if<FollowerFlush>(&message); flush != nullptr) {
    if (r_.target.source() != from) return true;  // of a run that was declined
    if (missed_something(from, *flush)) {
      r_.close_link(from, Reason::protocol_violation);
      return true;
    }
  }
  const bool waits = std::holds_alternative<ResyncWrite>(message) || std::holds_alternative<CompareRequest>(message) ||
                     std::holds_alternative<FlushRequest>(message) || std::holds_alternative<FollowerFlush>(message) ||
                     std::holds_alternative<JoinPrepare>(message);
  if (!waits || in_order_.empty() || MUTANT(flushed_in_front)) return false;
  if (too_many_wait()) {
    r_.release(payload);
    r_.close_link(from, Reason::protocol_violation);
    return true;
  }
  behind_.push_back({from, in_order_.newest(), message, payload});
  return true;
}

bool Secondary::too_many_wait() const { return in_order_.size() + behind_.size() >= kMaxDeferred; }

void Secondary::forget_what_waits(Seat seat) {
  std::erase_if(behind_, [this, seat](const Behind& one) {
    if (one.from != seat) return false;
    r_.release(one.payload);
    return true;
  });
}

// A flush that would cover a change that was not taken.
bool Secondary::missed_something(Seat from, const FollowerFlush& flush) const {
  return acceptable(from, flush.stamp) && flush.position != last_followed_;
}

}  // namespace lockstep
