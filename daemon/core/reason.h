// Why something was refused, frozen or dropped. One stable code each, printed identically by CLI, log, status and agent (P12).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lockstep {

enum class Reason : uint8_t {
  none,
  // promotion
  no_quorum,        // fewer voters answer than are needed
  lease_running,    // voters still hold a lease for another Primary
  voters_starting,  // voters started a moment ago and must stay silent
  peer_is_primary,
  no_current_copy,  // this node's copy is not in the current set
  copy_inconsistent,
  copy_doubtful,  // the cache of its disk was lost, and another copy may be better
  never_used,     // create-md data belongs to no set yet
  no_disk,
  // frozen I/O
  lease_lost,
  peer_loss_undecided,  // a peer is gone and the tenure without it is not decided yet
  last_copy_failed,
  // links
  different_history,
  different_size,
  different_protocol,
  size_too_small,
  same_node_id,
  protocol_violation,
  acknowledgement_timeout,
  operator_request,
  // commands
  busy,           // another command on this resource runs
  device_in_use,  // clients are still connected
  io_pending,     // I/O could not be drained
  already_used,   // new-current-uuid on disks that were used
  peer_not_connected,
  need_all_data_nodes,
  earlier_life,    // a voter knows a tenure of this resource from before create-md
  better_copy,     // --force would pass a better copy by, which is connected
  no_split_brain,  // no other history was met there
  metadata_failed,
  disk_failed,
  timed_out,
  not_a_target,
  older_state,         // this memory was set back or copied: a later run of it was met
  peer_older_state,    // the peer's was
  invalidate_primary,  // a Primary's copy cannot be invalidated under its clients
  verify_elsewhere,    // the copies are compared from another node
  verify_active,       // they are being compared already
  io_suspended,        // an operator suspended I/O
  not_primary,
  would_shrink,     // a volume becomes smaller only where that is asked for
  disks_too_small,  // some copy's disk has no room for that
  not_all_current,  // some copy is not in the set
  still_named,      // the tenure names a node that is to go
  last_copy,        // the Primary would be without any
  needs_own_vote,   // which is on the disk that would go
  attach_primary,   // a disk is attached to a Secondary
  copy_outdated,    // declared so, and no other voter heard since
  outdate_primary,
  outdate_connected,
  // the daemon's, about a configuration that was changed
  other_voters,
  other_id,
  one_place_at_a_time,
  needs_restart,
  different_volumes,  // the peer has not the volumes that this node has
  several_volumes,    // not possible with more than one volume
  congested,          // a peer under protocol A or B is too far behind, and on-congestion says disconnect
  would_grow,         // what is asked for as a smaller size is not smaller
  resize_undecided,   // another size was proposed, and may still be decided
  peer_follows,       // what is asked for needs a member, and the peer is under protocol A or B
  beyond_the_end,     // of the volume
};

constexpr size_t kReasons = static_cast<size_t>(Reason::beyond_the_end) + 1;

// Stable, lower case with dashes: "no-quorum". For scripts.
std::string_view code_of(Reason reason);
// One sentence for a person, and what would change the answer.
std::string_view text_of(Reason reason);
std::string_view remedy_of(Reason reason);
// The exit status of the CLI and the number in DRBD's words, for refusals of a command.
struct RefusalClass {
  int exit_status;            // contract.md: 11, 16, 17, 5, 20
  int number;                 // -25 and the like, 0 when DRBD has none
  std::string_view headline;  // "No quorum"
};
RefusalClass class_of(Reason reason);

}  // namespace lockstep
