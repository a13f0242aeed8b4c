// Who may be Primary: runs the rounds of the tenure register, adopts what they decide, keeps the lease, and knows the role.
//
// Level-triggered: after every step, evaluate() compares what the decided tenure says with what this node needs it to say (a
// member was lost, a copy may join, the operator wants a promotion) and starts a round when they differ. Nothing is remembered
// about why a round was started; what it found decides what it proposes.
#pragma once

#include <deque>
#include <optional>

#include "core/context.h"
#include "core/event.h"
#include "core/membership/acceptor.h"
#include "core/membership/lease_keeper.h"
#include "core/membership/round.h"
#include "core/message.h"
#include "core/snapshot.h"

namespace lockstep {

class ReplicaImpl;

class Membership {
 public:
  explicit Membership(ReplicaImpl& replica);

  // --- state others ask for ---
  const std::optional<Tenure>& adopted() const;
  Stamp stamp() const { return adopted() ? stamp_of(*adopted()) : Stamp{}; }
  bool adopting() const { return adopting_.has_value(); }
  bool all_current() const;
  // Nobody is served beyond so many bytes: the volume ends there, or will if what is being decided is.
  uint64_t end_of_service() const;
  // Without that voter, those who stay could decide nothing now.
  bool needs_vote_of(Seat seat) const { return adopted() && !decides_without(*adopted(), seat); }
  // Another tenure is being decided or adopted.
  bool changing() const { return adopting_ || undecided_ || round_; }
  // That one has another size.
  bool size_undecided() const;
  bool is_primary() const { return role_ == Standing::primary; }
  // Primary for clients: one that only levels the copies serves nobody.
  bool serves_clients() const { return is_primary() && !caretaker_; }
  bool holds_tenure() const { return role_ != Standing::secondary; }  // Primary, or becoming it
  // The Primary may answer clients now (P2, P6).
  bool serving() const;
  // A tenure in which this node is not Primary is wanted, proposed or being adopted: nothing new is served until that is settled.
  bool handing_over() const;
  // A smaller set is on its way: changes that have all their legs are answered when it is known whether it was decided (reducing.cc).
  bool acknowledgements_wait() const;
  Reason frozen_reason() const { return frozen_; }
  bool member(Seat seat) const { return adopted() && adopted()->members.contains(seat); }
  // Completions need this seat's acknowledgement: it is in the decided set, or in one that may have been decided.
  bool completions_need(Seat seat) const;
  // This node is Primary, and that peer is under protocol A or B with it.
  bool feeds(Seat seat) const;
  // This node copies to those that are outside the set: the Primary, or when there is none the author of the tenure, or the lowest member.
  bool is_resync_source() const;
  // Without a Primary: who copies, and changes the set. kNoSeat: nobody that this node knows of.
  Seat leader_without_primary(SeatSet besides) const;
  Voters configured_voters() const;
  uint32_t votes_needed() const;
  uint32_t votes_answering() const;
  // Fewer would answer than are needed, if this node's voter were silent. A tenure was adopted.
  bool needs_own_vote() const;
  // A copy joined while this node was copying to it: what that marked goes as for whoever took no part (learn_disks).
  void levelled_by_another(Seat seat) { unlearned_.insert(seat); }
  Instant lease_until() const;
  Reason last_obstacle() const { return obstacle_; }

  // --- caretaking (caretaker.cc) ---
  bool caretaking() const { return caretaker_ || (caretaker_wish_ && (holds_tenure() || round_ || undecided_)); }
  // Somebody else is to be Primary: a caretaker hands back as soon as that copy is in the set.
  void yield(Seat to);
  void tell_caretaking(Seat seat);  // when it was met
  bool promotion_commanded() const;

  // --- fences (fencing.cc) ---
  void fence_done(const FenceDone& done);
  bool fence_running() const { return !fences_running_.empty(); }
  bool fenced(Seat seat) const;  // its last known boot has ended, by a completed fence
  FenceSnapshot fence_shown(Seat seat) const;
  bool seasoned() const { return seasoned_; }
  // Others may go on without this copy: no fence lets this node decide alone until it has heard another voter. To be recorded.
  void declare_outdated();
  bool round_running() const { return round_.has_value(); }
  // This copy may lack acknowledged writes, and none of the decided set is known to be no better than it.
  bool doubt_forbids() const;
  // Enough voters answer, or this node is the half that a fence lets decide.
  bool may_decide() const;
  // Our acceptor has accepted a tenure later than the adopted one: whether it was decided is for a round to find out.
  bool accepted_unsettled() const;

  // --- events ---
  void register_message(Seat from, const Message& message);
  bool flush_reply(Seat from, OpId op, IoStatus status);  // false: not of a flush that a round asked for
  // --- who is there, and in which run (acquainting.cc) ---
  void greet(Seat seat);  // first of all on a new link
  void voter_hello(Seat from, const VoterHello& hello);
  void superseded(Seat from, const Superseded& notice);
  bool counts(Seat from, const Message& message);           // false: too early, or from who was not let in
  void time_passed();                                       // first of all in a step: has the lease run out?
  void decided_elsewhere(Seat from, const Tenure& tenure);  // a peer says that this one is decided
  void link_changed(Seat seat);
  void met(Seat seat, const PeerHello& hello);
  void evaluate();
  Instant next_deadline() const;
  void release_lease();
  void forget_history();
  void resign();  // Primary without a lease, and the operator gives its history up
  // A command begins: what an earlier attempt met may have been put right since.
  void creation_begins() {
    obstacle_ = Reason::none;
    force_without_ = {};
  }
  void promotion_begins();

 private:
  enum class Standing : uint8_t { secondary, becoming_primary, primary };
  enum class RoundFlush : uint8_t { none, running, done };  // of this node's disk, before the round proposes a smaller set

  // rounds.cc
  bool wants_round() const;
  bool something_to_decide() const;
  bool primary_away() const;
  bool promotion_wished() const;
  void start_round();
  void fail_round(Duration wait);
  void prepared();
  bool founders_heard() const;
  std::optional<Tenure> value_for(const std::optional<Tenure>& found);
  void decided(const Tenure& value);
  void ask_voters(const Message& message);
  void answer(Seat to, VoterAnswer answer);
  void refused(Seat from, const VoteRefused& refusal);
  Reason lease_obstacle(const VoteRefused& refusal);
  bool can_still_decide() const;
  void deliver(Seat to, const Message& answer);
  void heard(Seat from, const VoterIdentity& who);
  void asked_by(Seat from, const Message& message);

  // forcing.cc
  bool force_wanted() const;
  Uuid forced_history() const;
  Voters voters_to_move() const;
  void start_force_round();
  std::optional<Tenure> forced() const;
  void propose_forced();
  void force_refused(Seat from, const VoteRefused& refusal, Duration wait);
  bool begins_my_history(const Tenure& next) const;
  bool everybody_is_here() const;
  void apply_new_history(const Tenure& old);
  void part_from_peers();

  // reducing.cc
  bool reduces_the_set(const Tenure& value) const;
  bool flushed_for(const Tenure& value);
  SeatSet peers_to_flush(const Tenure& value) const;
  void begin_round_flush(bool own_disk);
  void give_up_unflushed();
  Instant round_ends_at() const;

  // goals.cc: pure questions about the next tenure
  bool change_desired(const Tenure& from) const;
  Tenure desired(const Tenure& from) const;
  SeatSet desired_members(const Tenure& from) const;
  bool hand_over_desired(const Tenure& from) const;
  bool resize_desired(const Tenure& from) const;
  bool may_seat() const;
  void change_a_seat(Tenure& next) const;
  Tenure promoted(const Tenure& from) const;
  Tenure created() const;
  SeatSet healthy_members(const Tenure& from) const;
  std::optional<Voter> seat_to_fill(const Tenure& from) const;
  std::optional<Voter> seat_to_add(const Tenure& from) const;
  std::optional<Voter> without_a_seat(const Tenure& from, bool accepting) const;
  bool win_over_due() const;
  bool decides_without(const Tenure& from, Seat leaving) const;
  std::optional<Seat> seat_to_drop(const Tenure& from) const;
  Instant unseated_at(Seat witness) const;
  bool reachable(Seat seat) const;
  bool answers(const Voter& voter) const;

  // adopting.cc
  bool author_will_tell(Seat from, const Tenure& tenure) const;
  void adopt_hearsay();
  void adopt(const Tenure& tenure);
  void finish_adopting();
  bool size_marked(const Tenure& next);
  void mark_dropped(Seat seat, const Tenure& old);
  void apply_set_change(const std::optional<Tenure>& old, const Tenure& next);
  void adopted_now();
  void first_adoption(const Tenure& next);
  void end_doubt(const Tenure& next);
  void note_new_voters(const Tenure& old, const Tenure& next);
  bool joins_as_another_disk(Seat seat, const Tenure& next) const;
  bool is_what_was_taken_in(Seat seat, const Tenure& next) const;
  void learn_disks();
  void tell_peers();
  void take_role();
  void depose(Seat by);

  // acquainting.cc
  void introduce(Seat seat);
  void introduce_unrecorded();

  // caretaker.cc
  bool last_primary_is_over() const;
  bool caretaker_wanted() const;
  bool caretaker_due() const;
  bool caretaker_done() const;
  void pump_caretaker();
  void begin_caretaking();
  void open_to_clients();
  bool end_caretaking();

  // fencing.cc
  SeatSet broken_tie() const;  // the seats that decide as one half; none without a completed fence
  void count_acceptances(const Round& round);
  void voted_in_a_majority();
  void hear_of_others();
  bool stood_aside(Seat peer, const FenceDone& done) const;
  void forget_word_of(Seat peer);
  void pump_fences();
  bool has_part(Seat peer) const;
  bool fence_wanted(Seat peer) const;
  void known_boot(Seat seat, const Boot& boot);

  // lease.cc
  void pump_lease();
  void take_back_last_member();
  void request_lease();
  void lease_answer(Seat from, const LeaseGranted& grant);
  void lease_answer(Seat from, const LeaseRefused& refusal);
  bool tenure_given_up() const;  // one without this node as its Primary is proposed or being adopted
  Reason why_frozen() const;
  bool confirm_due() const;
  void update_serving();

  ReplicaImpl& r_;
  Standing role_ = Standing::secondary;
  std::optional<Tenure> adopting_;
  bool adopting_recorded_ = false;
  bool doubt_ended_ = false;  // by what is being adopted; to be told to the peers
  std::optional<Tenure> adopt_next_;
  SeatSet unlearned_of_clean_;     // those of them that were in a clean tenure with this node, as it adopted the one after it
  SeatSet unlearned_;              // members that were taken in, and have not yet said that it is their disk that was
  std::optional<Tenure> hearsay_;  // decided, by the word of another than its author, whose own word is on its way

  bool caretaker_wish_ = false;  // this node's next tenure, or the one that it has begun, is a caretaker's
  bool caretaker_ = false;       // Primary, but for nobody
  bool hand_back_ = false;       // levelled and settled
  Seat yield_to_ = kNoSeat;
  Instant caretaker_due_at_ = kNever;

  std::optional<Round> round_;
  bool round_creating_ = false;
  bool round_forcing_ = false;
  Instant next_win_over_at_ = kLongAgo;
  SeatSet force_without_;  // voters whose storage failed
  Instant round_started_;
  RoundFlush round_flush_ = RoundFlush::none;
  SeatSet round_asked_to_flush_;  // peers
  SeatSet round_flushed_;         // those that have
  OpId round_flush_op_;
  SeatSet round_refused_;
  Instant next_round_at_ = kLongAgo;
  uint64_t highest_counter_ = 0;
  std::optional<Tenure> undecided_;          // proposed, outcome unknown: a further round settles it
  std::optional<Tenure> rumoured_;           // a voter set later than ours, met in a refusal
  Reason obstacle_ = Reason::none;           // why the last round did not decide
  std::optional<Instant> lease_seen_until_;  // the end of another's lease, when this promotion first met it

  std::array<Boot, kMaxSeats> boots_{};  // the last boot known of each seat
  std::array<Boot, kMaxSeats> ended_{};  // the boot that a completed fence has ended; nil: none
  SeatSet fences_running_;
  std::array<Instant, kMaxSeats> fence_begun_{};
  uint64_t lease_anew_ = 0;  // number of a tenure that was decided as half, by such a word: no grant of before counts under it
  SeatSet stood_aside_;      // said that they are Outdated, durably, and have not been met since
  std::array<Instant, kMaxSeats> next_fence_{};
  std::array<std::optional<int>, kMaxSeats> last_fence_{};  // exit status
  bool seasoned_ = false;                                   // our acceptance, given in this boot, was counted in a real majority

  LeaseKeeper lease_;
  Instant next_lease_request_ = kLongAgo;
  bool was_serving_ = false;
  Instant next_confirm_at_ = kLongAgo;
  bool confirm_needed_ = false;  // the lease was lost: a round must find our tenure decided before we go on
  bool rebase_needed_ = false;   // a voter lacks our tenure or promised somebody else
  Reason frozen_ = Reason::none;
};

}  // namespace lockstep
