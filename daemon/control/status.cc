#include "control/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "core/durable.h"
#include "core/volumes.h"

namespace lockstep {

std::string ResourceStatus::name_of(Seat seat) const {
  for (const NodeName& node : names) {
    if (node.seat == seat) return node.name;
  }
  return seat.is_witness() ? fmt::format("witness {}", seat.value - kMaxDataNodes) : fmt::format("node {}", seat.value);
}

std::string ResourceStatus::connection_state(Seat peer) const {
  for (const ConnectionStatus& link : links) {
    if (link.peer == peer) return link.connection_state;
  }
  for (const PeerSnapshot& one : snapshot.peers) {
    if (one.node == peer && one.connected) return "Connected";
  }
  return "StandAlone";
}

bool ResourceStatus::tls(Seat peer) const {
  return std::any_of(links.begin(), links.end(), [peer](const ConnectionStatus& link) { return link.peer == peer && link.tls; });
}

const std::vector<ConnectionPathStatus>& ResourceStatus::paths(Seat peer) const {
  static const std::vector<ConnectionPathStatus> kNone;
  for (const ConnectionStatus& link : links) {
    if (link.peer == peer) return link.paths;
  }
  return kNone;
}

std::string ResourceStatus::refusal_of(Seat peer) const {
  for (const LinkRefusal& refusal : refusals) {
    if (refusal.peer == peer) return refusal.why;
  }
  return "";
}

bool ResourceStatus::open() const {
  return std::any_of(volumes.begin(), volumes.end(), [](const VolumeStatus& volume) { return volume.open; });
}

std::vector<VolumeRange> places_of(const Snapshot& snapshot, const std::vector<Range>& ranges) {
  std::vector<VolumeRange> places;
  for (const Range& range : ranges) {
    for (size_t i = 0; i < snapshot.volumes.size(); ++i) {
      const uint64_t base = volume_base(snapshot.volumes, i);
      const uint64_t first = std::max(range.offset, base);
      const uint64_t end = std::min(range.end(), base + snapshot.volumes[i].size_bytes);
      if (first < end) places.push_back({i, snapshot.volumes[i].number, {first - base, end - first}});
    }
  }
  return places;
}

std::string suspended_text(const ResourceStatus& status) {
  const Snapshot& snapshot = status.snapshot;
  if (!snapshot.suspended) return "no";
  if (snapshot.reason == Reason::io_suspended) return "user";
  return fmt::format("{}{}", snapshot.suspended_by_operator ? "user," : "",
                     snapshot.reason == Reason::last_copy_failed ? "no-data" : "quorum");
}

std::string paused_text(const PeerSnapshot& peer) {
  std::string text;
  const auto add = [&text](bool is_so, std::string_view word) {
    if (is_so) text += (text.empty() ? "" : ",") + std::string(word);
  };
  add(peer.paused_here, "user");
  add(peer.paused_there, "peer");
  add(peer.held_here, "handler");
  return text.empty() ? "no" : text;
}

bool resyncing(const PeerSnapshot& peer) {
  switch (peer.replication) {
    case ReplicationState::sync_source:
    case ReplicationState::sync_target:
    case ReplicationState::paused_sync_source:
    case ReplicationState::paused_sync_target:
      return true;
    case ReplicationState::ahead:
    case ReplicationState::behind:
    case ReplicationState::off:
    case ReplicationState::established:
    case ReplicationState::verify_source:
    case ReplicationState::verify_target:
      return false;
  }
  UNREACHABLE("replication state");
}

ResyncProgress progress_of(const PeerSnapshot& peer) {
  ResyncProgress progress;
  const uint64_t done = peer.resync_done < peer.resync_total ? peer.resync_done : peer.resync_total;
  if (peer.resync_total > 0) {
    progress.percent_done = 100.0 * static_cast<double>(done) / static_cast<double>(peer.resync_total);
    // What was copied is marked until it was flushed there, and what clients write meanwhile is copied again.
    if (peer.dirty_blocks > 0) progress.percent_done = std::min(progress.percent_done, 99.99);
  }
  const double elapsed = static_cast<double>(peer.resync_running.ns) / 1e9;
  if (elapsed <= 0 || done == 0) return progress;
  // As fast as in the last seconds, or, in the first ones, as fast as so far.
  const double blocks_per_second = peer.recent_rate > 0 ? static_cast<double>(peer.recent_rate) / static_cast<double>(kBlockBytes)
                                                        : static_cast<double>(done) / elapsed;
  progress.kib_per_second = static_cast<uint64_t>(blocks_per_second * (kBlockBytes / 1024.0));
  progress.seconds_left = static_cast<int64_t>(static_cast<double>(peer.resync_total - done) / blocks_per_second + 0.5);
  return progress;
}

double percent_compared(const VerifySnapshot& verify) {
  return verify.total == 0 ? 100.0 : 100.0 * static_cast<double>(verify.done) / static_cast<double>(verify.total);
}

double percent_in_sync(uint64_t dirty_blocks, uint64_t size_bytes) {
  const uint64_t blocks = (size_bytes + kBlockBytes - 1) / kBlockBytes;
  if (dirty_blocks == 0) return 100.0;
  if (dirty_blocks >= blocks) return 0.0;
  // Rounded down to two places: 100.00 has to mean that nothing is left.
  const uint64_t hundredths =
      static_cast<uint64_t>(10000.0 * static_cast<double>(blocks - dirty_blocks) / static_cast<double>(blocks));
  return static_cast<double>(hundredths < 10000 ? hundredths : 9999) / 100.0;
}

std::string duration_text(Duration duration) {
  const int64_t whole = duration.ns / 1'000'000'000;
  if (whole < 0) return "0 s";
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 7200) return fmt::format("{} min", whole / 60);
  return fmt::format("{} h", whole / 3600);
}

std::string role_text(const ResourceStatus& status) { return fmt::format("{}\n", to_text(status.snapshot.role)); }

std::string cstate_text(const ResourceStatus& status, std::string_view peer) {
  std::string out;
  for (const PeerSnapshot& one : status.snapshot.peers) {
    if (peer.empty() || status.name_of(one.node) == peer) out += status.connection_state(one.node) + "\n";
  }
  return out;
}

std::string to_text(const FenceSnapshot& fence) {
  if (fence.running) return "running";
  if (fence.completed) return "completed";
  if (!fence.last_exit_status) return "none";
  return *fence.last_exit_status < 0 ? "failed" : fmt::format("exit-{}", *fence.last_exit_status);
}

std::string to_text(const PlaceStatus& place) {
  const bool brackets = place.address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", place.address, brackets ? "]" : "", place.port);
}

std::string_view family_of(const PlaceStatus& place) {
  if (place.address.find(':') != std::string::npos) return "ipv6";
  return place.address.find_first_not_of("0123456789.") == std::string::npos ? "ipv4" : "name";
}

std::string_view lanes_text(const ConnectionPathStatus& path) {
  if (path.carries_data) return path.carries_control ? "data,control" : "data";
  return path.carries_control ? "control" : "none";
}

std::string dstate_text(const ResourceStatus& status, std::string_view peer) {
  std::string out;
  for (const PeerSnapshot& one : status.snapshot.peers) {
    if (!peer.empty() && status.name_of(one.node) != peer) continue;
    out += fmt::format("{}/{}\n", to_text(status.snapshot.disk), to_text(one.disk));
  }
  return out.empty() ? fmt::format("{}\n", to_text(status.snapshot.disk)) : out;
}

namespace {

void refusal_text(const ResourceStatus& status, Seat peer, std::string& out) {
  for (const PeerSnapshot& shown : status.snapshot.peers) {
    // It waits for its operator, who has more to do than to connect it.
    if (shown.node == peer && shown.refused == Reason::peer_older_state) {
      out += fmt::format("    {}\n", remedy_of(shown.refused));
      return;
    }
  }
  if (const std::string why = status.refusal_of(peer); !why.empty()) out += fmt::format("    {}\n", why);
}

// Of one path there is nothing to say that the connection does not.
void paths_text(const ResourceStatus& status, Seat peer, std::string& out) {
  const auto& paths = status.paths(peer);
  if (paths.size() < 2) return;
  for (const ConnectionPathStatus& path : paths) {
    out += fmt::format("    path {} - {} established:{}", to_text(path.own), to_text(path.peer), path.established ? "yes" : "no");
    if (path.established) out += fmt::format(" carries:{}", lanes_text(path));
    out += "\n";
    if (!path.established && !path.error.empty()) out += fmt::format("      {}\n", path.error);
  }
}

// Sent to a peer under protocol A or B, and not applied there: how much, and since when.
std::string behind_text(const PeerSnapshot& peer) {
  return fmt::format("{}KiB/{:.1f}s", (peer.bytes_behind + 1023) / 1024, static_cast<double>(peer.behind_for.ns) / 1e9);
}

void peer_text(const ResourceStatus& status, const PeerSnapshot& peer, std::string& out) {
  const std::string name = status.name_of(peer.node);
  const std::string connection = status.connection_state(peer.node);
  if (!peer.connected) {
    out += fmt::format("  {} connection:{}", name, connection);
    if (peer.refused != Reason::none) out += fmt::format(" reason:{}", code_of(peer.refused));
    if (const std::string fence = to_text(peer.fence); fence != "none") out += " fence:" + fence;
    out += "\n";
    refusal_text(status, peer.node, out);
    return paths_text(status, peer.node, out);
  }
  out += fmt::format("  {} role:{}\n", name, to_text(peer.role));
  out += "    ";
  if (peer.replication != ReplicationState::established) out += fmt::format("replication:{} ", to_text(peer.replication));
  out += fmt::format("peer-disk:{}", to_text(peer.disk));
  if (resyncing(peer)) out += fmt::format(" done:{:.2f}", progress_of(peer).percent_done);
  if (peer.follows || peer.bytes_behind > 0) out += fmt::format(" behind:{}", behind_text(peer));
  if (peer.verify.running) out += fmt::format(" done:{:.2f}", percent_compared(peer.verify));
  if (paused_text(peer) != "no") out += fmt::format(" resync-suspended:{}", paused_text(peer));
  if (peer.verify.differing > 0) out += fmt::format(" differing:{}KiB", peer.verify.differing * (kBlockBytes / 1024));
  out += "\n";
  paths_text(status, peer.node, out);
}

void resource_text(const ResourceStatus& status, std::string& out) {
  const Snapshot& snapshot = status.snapshot;
  out += fmt::format("{} role:{}", status.name, to_text(snapshot.role));
  if (snapshot.caretaker) out += " caretaker:yes";
  if (const std::string suspended = suspended_text(status); suspended != "no") out += " suspended:" + suspended;
  if ((snapshot.suspended || !snapshot.quorum) && snapshot.reason != Reason::none) {
    out += fmt::format(" reason:{}", code_of(snapshot.reason));
  }
  out += "\n";
  for (size_t i = 0; i < snapshot.volumes.size(); ++i) {
    out += "  ";
    if (snapshot.volumes.size() > 1) out += fmt::format("volume:{} ", snapshot.volumes[i].number);
    out += fmt::format("disk:{}", to_text(snapshot.disk));
    if (i < status.volumes.size() && status.volumes[i].open) out += " open:yes";
    if (!snapshot.quorum) out += " quorum:no";
    out += "\n";
    if (snapshot.role != Role::primary || i >= status.volumes.size()) continue;
    for (const std::string& uri : status.volumes[i].nbd) out += fmt::format("    nbd:{}\n", uri);
  }
  for (const PeerSnapshot& peer : snapshot.peers) peer_text(status, peer, out);
  for (const VoterSnapshot& voter : snapshot.without_seat) {
    out += fmt::format("  {} {} votes:no answers:{}\n", status.name_of(voter.seat), voter.seat.is_witness() ? "witness" : "node",
                       voter.answers ? "yes" : "no");
  }
  for (const VoterSnapshot& voter : snapshot.voters) {
    if (voter.seat.is_witness()) {
      out += fmt::format("  {} witness answers:{}\n", status.name_of(voter.seat), voter.answers ? "yes" : "no");
      if (!voter.answers) refusal_text(status, voter.seat, out);
    }
  }
  out += "\n";
}

}  // namespace

std::string status_text(const std::vector<ResourceStatus>& all) {
  std::string out;
  for (const ResourceStatus& status : all) resource_text(status, out);
  return out.empty() ? "# No currently configured resource found.\n" : out;
}

}  // namespace lockstep
