// Which faults, refusals, freezes and notices the runs reached. A simulator that never reaches a rule says
// nothing about it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/effect.h"
#include "core/meeting.h"
#include "core/reason.h"

namespace lockstep::sim {

enum class Fault : uint8_t {
  process_kill,
  power_loss,
  blackout,  // every node and witness at once
  pause,
  cut,
  one_way_cut,
  reset,
  flapping,  // several resets in a row
  slow_disk,
  data_error,
  meta_error,
  witness_kill,
  witness_wiped,
  node_wiped,
  clean_stop,
  switch_over,
  invalidate,
  rival,                // another operator promotes the other node
  usurp,                // the Primary is cut off, frozen or slow while the other is promoted
  volatile_blackout,    // unflushed writes are lost everywhere at once
  node_restored,        // a disk is set back to an older image, then made anew
  witness_restored,     // so is the state of a witness, which helps itself
  volatile_power_loss,  // unflushed writes are lost on one node
  metadata_rot,         // a sector of a node's metadata reads as something else than was written
  disconnect,           // an operator takes a link down, and up again some time later
  forced_history,       // an operator gives the others up, forces a node, and sorts it out when they are back
  misfit,               // two nodes meet as if one had another version, the other's name, another disk, or no manners
  blunder,              // an operator's command at a moment when it has to be refused
  earlier_life,         // the resource is created anew, and a witness remembers the one before
  suspend_io,           // an operator suspends I/O, and lets it go on some time later
  change_nodes,         // a configuration gains or loses a data node, at one node or at all
  grow,                 // an operator has the volume grow
  pause_sync,           // an operator pauses resyncs, and lets them go on some time later
  verify,               // an operator has the copies compared, and may change his mind
  detach,               // an operator takes a node's disk, and gives it back some time later
  rot,                  // blocks of a disk that keeps digests read as something else than was written
  shrink,               // an operator gives up the end of a volume
};
constexpr size_t kFaults = static_cast<size_t>(Fault::shrink) + 1;
std::string_view name_of(Fault fault);

constexpr size_t kNotices = static_cast<size_t>(Notice::resized) + 1;

// What two nodes make of each other's hellos, when they do not refuse (core/meeting.h).
constexpr size_t kMeetings = static_cast<size_t>(lockstep::Verdict::refuse);

using ReasonCounts = std::array<uint64_t, kReasons>;

struct Coverage {
  std::array<uint64_t, kFaults> faults{};
  std::array<uint64_t, kNotices> notices{};
  std::array<uint64_t, kMeetings> meetings{};
  ReasonCounts meeting_refused{};
  ReasonCounts promotion_refused{};
  ReasonCounts command_refused{};
  ReasonCounts frozen{};
  ReasonCounts closed{};
  ReasonCounts shown{};     // by a status: of a freeze, why no promotion is possible now, why a peer is refused
  ReasonCounts detached{};  // why a disk was given up
  uint64_t client_ops = 0, client_acked = 0, client_failed = 0, client_unknown = 0;
  uint64_t promotions = 0, promotions_refused = 0, survivor_promotions = 0, switch_overs = 0;
  uint64_t promoted_after_clean = 0, promoted_after_unclean = 0, promoted_by_half = 0;  // by the rule that allowed it
  uint64_t fences_completed = 0, fences_failed = 0, fences_of_a_primary = 0, fence_reports_late = 0, fence_reports_twice = 0;
  uint64_t fenced_back_at_once = 0, stood_aside = 0, disks_detached = 0;
  uint64_t copies_given_up_remotely = 0;
  uint64_t half_open = 0, silences = 0, late_messages = 0;
  uint64_t everywhere_lost = 0, torn_blocks = 0, parts_read = 0, torn_pages = 0, strayed_pages = 0, orphans_landed = 0,
           orphans_lost = 0, lost_blocks = 0;
  uint64_t superblocks_interrupted = 0, superblocks_repaired = 0, repairs_interrupted = 0;
  uint64_t frames_split = 0, frames_joined = 0, frames_cut = 0;
  uint64_t disk_errors = 0, meta_errors = 0;
  uint64_t witness_begins_anew = 0, levelled_unattended = 0;
  uint64_t copies_compared = 0, differing_covered = 0, differing_to_copy = 0, volumes_grown = 0, volumes_shrunk = 0,
           several_volumes = 0, followed = 0;
  uint64_t rotten_blocks = 0, rot_found = 0;

  void hit(Fault fault) { ++faults[static_cast<size_t>(fault)]; }
  void hit(Notice notice) { ++notices[static_cast<size_t>(notice)]; }
  void add(const Coverage& other);
  uint64_t fault_count() const;
  // How often this was somebody's answer, anywhere.
  uint64_t told(Reason reason) const;
  // Prints everything; returns how many of what a few thousand seeds must have reached are zero (coverage_report.cc), and with `zeros` names
  // them.
  int print(bool zeros) const;
};

}  // namespace lockstep::sim
