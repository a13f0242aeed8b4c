// What a Replica shows of itself: the source of status, events, metrics and explain. A copy; nothing refers back.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/range.h"
#include "base/time.h"
#include "core/reason.h"
#include "core/tenure.h"
#include "core/volumes.h"

namespace lockstep {

enum class Role : uint8_t { unknown, primary, secondary };
enum class DiskState : uint8_t { diskless, failed, inconsistent, outdated, unknown, consistent, up_to_date };
enum class ReplicationState : uint8_t {
  off,
  established,
  sync_source,
  sync_target,
  paused_sync_source,  // it waits for an operator to let it go on
  paused_sync_target,
  verify_source,
  verify_target,
  ahead,   // the peer follows (protocol A or B) and was left behind; it is resynced when it has applied what it was sent
  behind,  // this node was
};

// In DRBD's words.
std::string_view to_text(Role role);
std::string_view to_text(DiskState state);
std::string_view to_text(ReplicationState state);

struct VoterSnapshot {
  Seat seat;
  bool answers = false;
  bool empty_seat = false;  // configured and never heard, or its acceptor is not the one that the tenure names
  Duration silent_for;      // since its link went down; zero while it answers
};

// Of the fence-peer handler for a peer, in this run of the daemon.
struct FenceSnapshot {
  bool running = false;
  bool completed = false;               // the last boot known of the peer has ended
  std::optional<int> last_exit_status;  // of the last one that ended; -1: signal, time-out or could not be run
};

// A comparison of the copies (verify), and what the last one found.
struct VerifySnapshot {
  bool running = false;
  bool completed = false;  // the last one came to its end
  uint64_t total = 0;      // blocks, of the running one
  uint64_t done = 0;
  Duration taken;              // since it began
  bool repairing = false;      // they are being written anew
  uint64_t differing = 0;      // blocks that were found to differ and were not written since
  VolumeCounts differing_of;   // as dirty_of
  std::vector<Range> extents;  // that hold them; no more than kVerifyExtentsShown
};
constexpr size_t kVerifyExtentsShown = 256;

struct PeerSnapshot {
  Seat node;
  bool connected = false;  // met: both hellos exchanged and judged
  Role role = Role::unknown;
  DiskState disk = DiskState::unknown;
  ReplicationState replication = ReplicationState::off;
  uint64_t dirty_blocks = 0;  // out of sync, as far as this node knows
  VolumeCounts
      dirty_of;  // by volume, where there are several (in the order of Snapshot::volumes); what lies between them is in none
  uint64_t resync_total = 0;  // blocks, of the running resync
  uint64_t resync_done = 0;
  Duration resync_running;
  Duration silent_for;
  Reason refused = Reason::none;  // why the last meeting failed
  std::vector<Range> differing;   // with refused different_history: the extents that may differ
  FenceSnapshot fence;
  bool paused_here = false;  // an operator paused resyncs with this peer, on this node
  bool paused_there = false;
  bool held_here = false;     // resyncs wait until what must happen before one has been done (CoreConfig::hold_resync)
  bool follows = false;       // it is under protocol A or B, and has all but what is on its way
  bool followed = false;      // this node is, with it as its Primary
  uint64_t bytes_behind = 0;  // sent to it, and not applied there
  Duration behind_for;        // since the oldest of that was sent
  uint64_t recent_rate = 0;   // of the running resync or comparison, bytes a second over the last seconds
  VerifySnapshot verify;
};

struct Snapshot {
  Role role = Role::secondary;
  DiskState disk = DiskState::diskless;
  bool caretaker = false;              // it levels the copies, as a Primary that serves nobody
  bool quorum = false;                 // enough voters answer
  bool suspended = false;              // I/O is frozen
  bool suspended_by_operator = false;  // alone, or besides
  Reason reason = Reason::none;        // of the freeze, or why this node could not be promoted now
  std::optional<Tenure> tenure;        // adopted
  Uuid disk_uuid;
  uint64_t size_bytes = 0;  // of all volumes, with what lies between them
  VolumeShapes volumes;
  Duration lease_left;
  bool seasoned = false;       // half of the voters and a completed fence may decide with this node's vote
  uint64_t healed_blocks = 0;  // written anew from another copy, since this node came up
  uint32_t client_ops = 0;
  uint32_t hot_extents = 0;
  uint32_t votes_needed = 0;
  uint32_t votes_answering = 0;
  std::array<uint64_t, kMaxDataNodes> dirty_blocks{};
  std::vector<VoterSnapshot> voters;
  std::vector<PeerSnapshot> peers;
  std::vector<VoterSnapshot> without_seat;  // configured, and no voter of the tenure
};

}  // namespace lockstep
