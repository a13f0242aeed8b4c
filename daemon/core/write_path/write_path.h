// Client operations on the Primary, in the order in which the files are read:
//   admission.cc  is this node Primary? start reads, changes, flushes
//   (range_gate)  overlapping operations one after another
//   fanout.cc     intent, local leg, a leg a peer
//   legs.cc       outcomes of legs: done, failed, lost
//   ack_policy.cc may the client be told? retire
//   flush_path.cc FLUSH, and the background flush that settles
//   read_path.cc
//   healing.cc   a range is written anew from the copy that has it right
#pragma once

#include <deque>
#include <vector>

#include "base/mutation.h"
#include "core/context.h"
#include "core/dirty/recent_writes.h"
#include "core/event.h"
#include "core/write_path/op.h"
#include "core/write_path/range_gate.h"

namespace lockstep {

class ReplicaImpl;

// Operation ids of resync chunks, and of chunks that are compared, have these bits: they pass the same gate and come back in the same
// replies.
constexpr uint64_t kResyncOpBit = uint64_t{1} << 62;
constexpr uint64_t kVerifyOpBit = uint64_t{1} << 60;

class WritePath {
 public:
  explicit WritePath(ReplicaImpl& replica);

  void request(const ClientRequest& request);
  void write_reply(Seat from, OpId op, IoStatus status);
  void flush_reply(Seat from, OpId op, IoStatus status);
  void read_reply(Seat from, OpId op, IoStatus status, PayloadId payload);
  // What was written and is not known to be flushed there: before the peer's legs are lost, and with them what is waited for.
  void mark_in_doubt(Seat peer);
  void leg_lost(Seat peer);    // its link broke or its disk failed
  void refused_by(Seat peer);  // its disk failed, as a reply says
  void intents_progressed();   // a page became durable, or extents cooled
  void cool();                 // extents that may leave the intent map do; then who waits for room is served
  void release_lost();         // legs whose peer is in no set any more
  void retry_waiting_for_room();
  void resend(Seat peer);  // a member that a Primary without a disk cannot do without is back
  void set_changed();      // a tenure was adopted: some legs may no longer be needed
  void serving_changed();
  void fail_waiting(IoStatus status);  // answer everything that waits; operations go on as orphans
  void abandon();                      // no longer Primary: forget all operations
  void became_primary();
  void pump();

  // A chunk holds its range against changes. True if it does at once; otherwise ReplicaImpl::range_held() follows.
  bool hold_range(OpId op, const Range& range) { return gate_.enter(op, range, RangeGate::Mode::shared); }
  void let_go(OpId op) { leave_gate(op); }

  // Writes a range anew on every copy of the set, from that member's: as a write of a client, in its turn among them, and nobody is
  // answered. Given up when that copy cannot be read. False: too many are under way, or this node does not serve.
  bool heal(const Range& range, Seat from);
  // A read of the copy `at` failed, and the member `from` has what it should have given. Each block is read once more, and those that cannot be
  // read are healed: the others may be the only good ones. False: the disk here fails too often, and is to be given up.
  bool look_for_bad_blocks(const Range& range, Seat at, Seat from, IoStatus failure);
  // From which a range may be healed that is bad here.
  SeatSet other_copies() const;
  bool waits_for_room() const { return !waiting_for_room_.empty(); }
  size_t heals() const { return heals_; }
  uint64_t healed() const { return healed_; }  // blocks, since this node came up

  bool quiet() const { return live_ == 0; }
  // Something that was admitted reaches beyond so many bytes.
  bool busy_beyond(uint64_t bytes) const;
  uint32_t client_ops() const { return client_ops_; }
  // An operator's word: requests that come wait, those that are under way go on. Ends with the Primary's role.
  void suspend() { suspended_ = true; }
  void resume();
  bool suspended() const { return suspended_; }
  size_t requests_under_way() const { return client_ops_ - held_.size(); }
  uint64_t settled() const { return settled_; }
  // Changes up to here were answered, or are over: what is asked for from now on may build on them. (Some of them may be under way.)
  uint64_t retired() const { return retired_; }
  uint64_t last_position() const { return last_position_; }
  bool everything_settled() const { return settled_ >= last_position_; }
  void flush_soon() { flush_wanted_ = true; }
  Instant next_deadline() const;
  Instant oldest_leg(Seat peer) const;

 private:
  static constexpr uint64_t kSlotBits = 16;  // of an operation's id: where it is in ops_
  Op& make_op(OpKind kind, const Range& range);
  Op* find(OpId id);
  static uint64_t slot_of(OpId id) { return id.value & ((uint64_t{1} << kSlotBits) - 1); }
  void run_if_free(Op& op, RangeGate::Mode mode);
  void start(Op& op);
  void start_change(Op& op);
  bool take_intents(Op& op);
  void fan_out(Op& op);
  void submit_local(Op& op);
  void local_done(OpId id, IoStatus status);
  void leg_in(Op& op, Seat peer);
  void leg_failed(Op& op, Seat peer);
  bool all_legs_in(const Op& op) const;
  void try_finish(Op& op);
  void finish_waiting();
  void reply(Op& op, IoStatus status);
  void answer_flushes(IoStatus status);
  void retire(Op& op);
  void admit(const ClientRequest& request);
  void refuse(const ClientRequest& request, IoStatus status);
  bool beyond_the_end(const ClientRequest& request) const;
  void admit_held();
  void leave_gate(OpId id);
  void start_read(Op& op);
  void read_locally(Op& op);
  void could_not_read(OpId id, Seat seat, IoStatus status);
  bool read_again(Op& op, Seat last, IoStatus status);
  void go_on_rereading();
  void go_on_behind_followers();
  SeatSet readable_copies() const;
  size_t reads_under_way(Seat seat) const;
  Seat choose_copy(SeatSet copies);
  void heal_if_bad_here(const Range& block, Seat from);
  void heal_if_bad_there(const Range& block, Seat at, Seat from);
  void looked_there(Op& op, IoStatus status);
  void fetch(Op& op);
  void fetched(Op& op, IoStatus status, PayloadId payload);
  void retire_unhealed(Op& op, IoStatus status);
  void begin_flush();
  void flush_done(Op& op);
  void cool_intents();
  uint64_t watermark() const;
  SeatSet required_peers() const;

  ReplicaImpl& r_;
  RangeGate gate_;
  std::deque<Op> ops_;  // a deque: references stay good while operations start others
  std::vector<uint32_t> free_;
  uint64_t generation_ = 0;
  size_t live_ = 0;
  uint32_t client_ops_ = 0;
  std::vector<ClientRequest> held_;  // until this node may serve
  bool suspended_ = false;
  std::deque<OpId> waiting_for_room_;   // among the hot extents
  std::vector<OpId> waiting_for_feed_;  // until a follower has caught up (Feed::holds_writes)
  std::vector<OpId> parked_reads_;      // no copy to read from just now
  std::vector<OpId> rereads_;           // outside the gate for a moment (Op::again)
  Seat last_read_from_ = kNoSeat;       // in turn
  std::vector<OpId> waiting_for_intent_;
  std::vector<ClientIo> flushes_waiting_;
  std::vector<ClientIo> flushes_running_;
  bool flush_running_ = false;
  bool flush_wanted_ = false;
  bool answers_wait_ = false;  // some change is finished, and the set is being reduced
  uint64_t last_position_ = 1;
  uint64_t settled_ = 0;
  uint64_t retired_ = 0;
  RecentWrites recent_;  // since this node became Primary
  size_t heals_ = 0;
  size_t looks_ = 0;  // at blocks of peers that may be bad
  uint64_t healed_ = 0;
  uint32_t failed_reads_ = 0;  // of the local disk, since it was attached
  Instant next_settle_ = kLongAgo;
};

}  // namespace lockstep
