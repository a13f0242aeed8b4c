// May the client be told? Every leg is in, this node holds its lease at this very moment (P2), and no smaller set is under way that
// would answer for this change alone (membership/reducing.cc). Then the operation retires.
#include <algorithm>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

void WritePath::try_finish(Op& op) {
  if (op.stage == OpStage::running) {
    if (!all_legs_in(op)) return;
    op.stage = OpStage::finished;
  }
  if (op.stage != OpStage::finished) return;
  if (op.kind == OpKind::flush) return flush_done(op);
  if (op.client.value != 0) {
    if (!r_.membership.serving() && !(op.kind == OpKind::read && MUTANT(read_without_lease))) return;
    if (is_change(op.kind) && r_.membership.acknowledgements_wait()) {
      answers_wait_ = true;
      return;
    }
    reply(op, op.status);
  }
  retire(op);
}

void WritePath::reply(Op& op, IoStatus status) {
  const bool with_data = op.kind == OpKind::read && status == IoStatus::ok;
  r_.ctx.emit(ClientReply{op.client, status, with_data ? op.payload : PayloadId{}});
  r_.pace.client_answered(r_.ctx.now, r_.ctx.now - op.started);
  op.client = {};
  CHECK(client_ops_ > 0);
  --client_ops_;
}

void WritePath::retire(Op& op) {
  const OpId id = op.id;
  const bool in_gate = op.in_gate;
  if (op.intent_held) r_.intents.let_go(op.range);
  if (op.intent_held && op.status == IoStatus::ok) r_.verifier.written(op.range);
  if (is_change(op.kind) && !MUTANT(order_not_told)) retired_ = std::max(retired_, op.position);
  if (op.looks_at != kNoSeat) --looks_;
  if (op.heals_from != kNoSeat) {
    --heals_;
    if (op.status == IoStatus::ok) healed_ += (op.range.length + kBlockBytes - 1) / kBlockBytes;
  }
  if (!MUTANT(payload_kept)) r_.release(op.payload);
  free_.push_back(static_cast<uint32_t>(slot_of(id)));
  op = Op{};
  --live_;
  if (!waiting_for_room_.empty()) next_settle_ = r_.ctx.now;  // an extent may have become free
  if (in_gate) leave_gate(id);
}

}  // namespace lockstep
