// What status, events, role, cstate, dstate and explain show of a resource: the core's Snapshot, and beside
// it what only the daemon knows (names, link states, exports). A value; made on the resource's loop, shown on
// the control thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/snapshot.h"

namespace lockstep {

struct NodeName {
  Seat seat;
  std::string name;
};

struct PlaceStatus {
  std::string address;  // or a name
  std::string port;
};

struct ConnectionPathStatus {
  PlaceStatus own;
  PlaceStatus peer;
  bool control_only = false;
  bool established = false;
  bool carries_data = false;  // what this node sends
  bool carries_control = false;
  std::string error;  // why it is not established
};

struct ConnectionStatus {
  Seat peer;
  std::string connection_state = "Connecting";  // StandAlone, Unconnected, Connecting, Connected, ... in DRBD's words
  std::vector<ConnectionPathStatus> paths;      // in order of preference
  bool tls = false;
};

// Why a peer's or a witness's link does not come up, where one end refuses the other.
struct LinkRefusal {
  Seat peer;
  std::string why;
};

struct VolumeStatus {  // what clients do with it, since up
  bool open = false;
  uint64_t read_kib = 0;
  uint64_t written_kib = 0;
  std::vector<std::string> nbd;  // URIs under which clients find it while this node is Primary
};

struct ResourceStatus {
  std::string name;
  Seat self;
  std::vector<NodeName> names;          // of all seats, witnesses and self included
  std::vector<ConnectionStatus> links;  // of data peers; one that is missing shows as StandAlone, or Connected if the core met it
  std::vector<LinkRefusal> refusals;
  std::vector<VolumeStatus> volumes;  // as Snapshot::volumes
  bool digests = false;               // at rest
  uint64_t rot_found_kib = 0;
  bool disk_open = true;  // the daemon has it claimed, well or not
  Snapshot snapshot;

  std::string name_of(Seat seat) const;
  std::string connection_state(Seat peer) const;
  bool tls(Seat peer) const;  // connected under it
  const std::vector<ConnectionPathStatus>& paths(Seat peer) const;
  std::string refusal_of(Seat peer) const;  // empty: none
  bool open() const;                        // any volume
};

// none, running, completed (7, and the boot that it ended is the last one known), exit-N, failed (no exit status).
std::string to_text(const FenceSnapshot& fence);

// Why I/O is suspended: "user" (suspend-io), "quorum" or "no-data", with a comma where it is both; "no" when it is not.
std::string suspended_text(const ResourceStatus& status);

// percent of a running resync that is done, and an estimate from its mean rate so far.
struct ResyncProgress {
  double percent_done = 0;
  uint64_t kib_per_second = 0;
  int64_t seconds_left = -1;  // -1: not known yet
};
// Its operator, or the peer's, has paused resyncs: "no", "user", "peer" or "user,peer", in DRBD's words.
std::string paused_text(const PeerSnapshot& peer);
bool resyncing(const PeerSnapshot& peer);
ResyncProgress progress_of(const PeerSnapshot& peer);
// Of the whole volume, 0 to 100; exactly 100 only when nothing is out of sync.
double percent_compared(const VerifySnapshot& verify);
double percent_in_sync(uint64_t dirty_blocks, uint64_t size_bytes);

// A range of the resource's addresses (core/volumes.h) as places in its volumes; what lies between them is left out.
struct VolumeRange {
  size_t index = 0;  // in Snapshot::volumes
  uint16_t volume = 0;
  Range range;  // bytes of the volume
};
std::vector<VolumeRange> places_of(const Snapshot& snapshot, const std::vector<Range>& ranges);

// "12 s", "3 min", "2 h": for people.
std::string duration_text(Duration duration);

// role: one line. cstate: one line a peer. dstate: "own/peer" one line a peer. Each line ends with '\n'.
std::string role_text(const ResourceStatus& status);
std::string cstate_text(const ResourceStatus& status, std::string_view peer = {});
std::string to_text(const PlaceStatus& place);         // "10.1.1.31:7800"
std::string_view family_of(const PlaceStatus& place);  // ipv4, ipv6, or name
std::string_view lanes_text(
    const ConnectionPathStatus& path);  // what this node sends over it: none, data, control, or data,control
std::string dstate_text(const ResourceStatus& status, std::string_view peer = {});

// As `drbdadm status`: the resource, its disk, and each peer indented; a blank line after each resource.
std::string status_text(const std::vector<ResourceStatus>& all);

}  // namespace lockstep
