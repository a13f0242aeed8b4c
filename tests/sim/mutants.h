// Mutants: each breaks one rule of the core. Included before everything else when the simulator's copy of the core is compiled
// (CMake's lockstep_mutable_core); the programs are built without it. A rule whose mutant survives is a rule that nobody watches.
//
// A mutant counts as killed only by the checker of the promise that it breaks. Not here, because another rule stands behind the
// broken one and no run of seeds was seen to tell: promises and acceptances under a lease each alone, grants after a promise to
// somebody else, promises that are not durable (a crash also breaks the links that would carry their accepts), the drain, marks at
// a lost leg, at a drop or at a force alone, what a new Primary has in its intent map (its members have all that was written before),
// the target's flush before its join, the half that is not seasoned, what a replaced voter had granted, answers between the flush and
// the decision of a smaller set (2874 seeds), bits of a history that is given up, and a force that leaves voters behind, since the operator of the simulator keeps those from
// electing anybody, a round that counts on a word of a peer that is met before it is decided, a flush of a follower that clears what was sent behind
// it to the same block, what a follower forgets before the members have settled it, and a gap in what a follower was sent. Unit tests hold those.
#pragma once

#include <cstdint>

// promise, name, setting in which it shows (`story`: too rare for seeds, a story of tests/scenario notices it), what is broken
#define LOCKSTEP_MUTANTS(X)                                                                                                    \
  X(P1, ack_without_peers, any, "a write is answered without its peers")                                                       \
  X(P1, ack_without_local_disk, any, "a write is answered before it is on this disk")                                          \
  X(P1, secondary_acks_at_once, any, "a Secondary answers a write before its disk has it")                                     \
  X(P5, regaining_copy_not_awaited, any, "completions do not wait for a copy that is being regained")                          \
  X(P6, lost_cache_not_marked, volatile_caches, "a copy that lost its cache is taken for a good one")                          \
  X(P6, doubtful_promoted, volatile_caches, "a doubtful copy may be promoted though another one may be better")                \
  X(P6, reduced_without_flush, volatile_caches, "the set is reduced to a copy that was not flushed")                           \
  X(P6, proposer_flushes_alone, story, "the set is reduced to copies of which only the proposer's was flushed")                \
  X(P4, stranger_remembered, three_nodes, "the bitmap against a node that is not configured counts when the node comes back")  \
  X(P4, removed_copy_remembered, three_nodes,                                                                                  \
    "a node that leaves the configuration is not forgotten before its bitmap is kept no more")                                 \
  X(P2, vote_under_lease, any, "a voter neither refuses promises nor acceptances while it keeps its word")                     \
  X(P2, vote_at_once_after_start, any, "a voter that forgot its grants votes as soon as it starts")                            \
  X(P2, lease_overstayed, any, "the Primary counts a lease for longer than the voters keep it")                                \
  X(P2, silent_as_configured, story, "a voter that starts again keeps silent for the lease that is configured by now")         \
  X(P8, fence_outlives_meeting, story, "a node that speaks again is still taken for fenced")                                   \
  X(P8, outdated_takes_over, story,                                                                                            \
    "a copy that was declared Outdated takes over by a fence, without having heard another voter")                             \
  X(P3, outdated_peer_met, story, "a peer that said it is Outdated is still passed by after the two have met")                 \
  X(P8, candidate_past_an_outdated_peer, story, "a candidate takes over without a peer that said it is Outdated")              \
  X(P11, detached_votes, any, "a node whose disk was let go of votes on")                                                      \
  X(P8, late_fence_counts, story, "a fence of an earlier boot stands in for the one that is up by now")                        \
  X(P8, any_acceptor_votes, any, "a seat's vote counts whichever acceptor answers there")                                      \
  X(P2, serve_without_lease, any, "the Primary serves without a lease")                                                        \
  X(P2, read_without_lease, any, "a read is answered although the lease has run out")                                          \
  X(P2, lost_lease_taken_again, any, "a lease that ran out is taken again without asking what was decided meanwhile")          \
  X(P3, ack_before_loss_decided, any, "a write is answered without a lost peer before the tenure without it is decided")       \
  X(P3, ack_when_loss_proposed, any, "a write is answered without a lost peer as soon as the tenure without it is proposed")   \
  X(P3, undecided_set_ignored, story, "completions need only the adopted set while another one may be decided")                \
  X(P7, unsealed_extent_cleared, any, "an extent leaves the intent map before its digests are durable")                        \
  X(P7, sealed_before_the_write, any, "what was sealed before a write counts for what was written")                            \
  X(P4, data_before_intent, any, "the Primary writes data before its intent is durable")                                       \
  X(P4, secondary_data_before_intent, any, "a Secondary writes data before its intent is durable")                             \
  X(P4, absent_not_marked, any, "a write that a peer outside the set misses is not marked")                                    \
  X(P4, compared_without_gate, any, "copies are compared while writes are under way")                                          \
  X(P4, older_frames_accepted, story, "a write of an earlier tenure is done")                                                  \
  X(P6, levelled_unflushed, story, "a copy that is levelled is not flushed before it joins")                                   \
  X(P4, copy_marks_nothing, three_nodes, "a write that an absent node misses is marked by the Primary alone")                  \
  X(P4, lost_peer_not_marked, any, "what a lost peer may lack is not marked, neither as its link breaks nor as it is dropped") \
  X(P6, read_from_dropped_copy, any, "a read is answered by a copy that is not in the set")                                    \
  X(P4, growth_not_marked, any, "what a volume grew by is not marked for the other copies")                                    \
  X(P4, growth_adopted_unmarked, any, "a larger volume is recorded before what is new is marked")                              \
  X(P4, forgotten_writes_unnoticed, any,                                                                                       \
    "more writes than are remembered, and those that were forgotten are not marked for a lost peer")                           \
  X(P4, unflushed_not_marked, volatile_caches, "what was answered and not flushed everywhere is not marked for a lost peer")   \
  X(P4, intents_never_told, any, "a copy that comes back does not tell which extents were hot here")                           \
  X(P4, settled_without_flush, volatile_caches, "settled is said without a flush")                                             \
  X(P4, marks_taken_for_stored, any, "a dirty bit counts as durable before its page is written")                               \
  X(P4, intent_cleared_uncovered, any, "an intent bit is cleared before the dirty bits that replace it are durable")           \
  X(P4, joined_copy_unpinned, story, "a copy that joins forgets at once what it was levelled in")                              \
  X(P4, unclean_set_kept, any, "a promotion after an unclean end keeps members that were not levelled")                        \
  X(P5, resync_without_gate, any, "a resync block does not hold its range")                                                    \
  X(P5, join_with_bits_left, any, "a copy joins while blocks of it are still dirty")                                           \
  X(P4, older_writes_not_awaited, story, "a resync begins while writes of an earlier tenure are on their way to the disk")     \
  X(P5, attached_without_claim, story, "a disk is attached while writes of a killed process are on their way to it")           \
  X(P6, read_without_gate, any, "a read does not wait for overlapping writes")                                                 \
  X(P6, writes_without_gate, any, "overlapping writes run side by side")                                                       \
  X(P7, flush_only_here, volatile_caches, "FLUSH is answered without the peers' flush")                                        \
  X(P7, flush_only_there, volatile_caches, "FLUSH is answered without this disk's flush")                                      \
  X(P7, fua_lost_on_the_way, volatile_caches, "a Secondary writes a FUA write without FUA")                                    \
  X(P8, promoted_outside_set, any, "a copy outside the decided set may be promoted")                                           \
  X(P8, minority_decides, any, "half of the voters decide without a fence")                                                    \
  X(P8, acceptance_not_durable, any, "a voter answers before its acceptance is durable")                                       \
  X(P8, fence_is_a_vote, any, "a fence stands in for a missing vote of an odd number")                                         \
  X(P9, no_caretaker, any, "without a Primary nobody levels the copies after an unclean end")                                  \
  X(P9, older_state_accepted, any, "a voter whose memory was set back is let in")                                              \
  X(P9, histories_meet_unnoticed, forced, "two histories that meet are taken for one")                                         \
  X(P9, seat_stays_empty, any, "a voter that lost its memory is never seated again")                                           \
  X(P9, join_not_proposed, any, "a copy that was levelled is not taken into the set")                                          \
  X(P9, tenure_not_told, any, "a decided tenure is not told to the peers")                                                     \
  X(P9, hearsay_adopted, three_nodes, "a tenure is adopted by another's word, in front of what its author sent before it")     \
  X(P9, interrupted_resync_forgotten, any, "a resync that was interrupted does not begin again")                               \
  X(P10, payload_kept, any, "a finished write keeps its payload")                                                              \
  X(P10, resync_payload_kept, any, "a resync block that was sent keeps its payload")                                           \
  X(P11, metadata_failure_ignored, any, "a failed metadata write is taken for a good one")                                     \
  X(P11, flush_failure_ignored, any, "a failed flush is taken for a good one")                                                 \
  X(P11, write_failure_ignored, any, "a Secondary goes on with a disk that refused a write")                                   \
  X(P5, follower_taken_in_behind, followers, "a follower that lacks something is in the set that is handed over")              \
  X(order, owed_taken_for_in_flight, followers, "what found no room on the way to a follower is not owed")                     \
  X(order, order_not_told, followers, "a follower is not told what comes before what")                                         \
  X(order, follower_out_of_order, followers, "a follower applies changes as they come")                                        \
  X(order, flushed_in_front, followers, "a follower answers a flush before what was sent in front of it is applied")           \
  X(P12, freeze_without_reason, any, "I/O freezes and nobody is told why")                                                     \
  X(P12, refusal_without_reason, any, "a command is refused without a reason")

namespace lockstep::sim {

enum class Mutant : uint8_t {
  none,
#define LOCKSTEP_MUTANT_NAME(promise, name, setting, text) name,
  LOCKSTEP_MUTANTS(LOCKSTEP_MUTANT_NAME)
#undef LOCKSTEP_MUTANT_NAME
};

// The one that lives in this thread's world.
inline thread_local Mutant active_mutant = Mutant::none;
inline bool mutated(Mutant mutant) { return active_mutant == mutant; }

}  // namespace lockstep::sim

#define MUTANT(name) ::lockstep::sim::mutated(::lockstep::sim::Mutant::name)
