#include "control/status_json.h"

#include "core/durable.h"

namespace lockstep {

namespace {

using json = nlohmann::ordered_json;

constexpr uint64_t kKibPerBlock = kBlockBytes / 1024;

json refusal_json(const ResourceStatus& status, Seat peer) {
  const std::string why = status.refusal_of(peer);
  return why.empty() ? json(nullptr) : json(why);
}

// One volume is all there is: its count is the resource's.
uint64_t of_volume(const VolumeCounts& counts, size_t volume, uint64_t all) { return counts.empty() ? all : counts[volume]; }

json verify_json(const ResourceStatus& status, const VerifySnapshot& verify, size_t volume) {
  json out;
  out["running"] = verify.running;
  out["completed"] = verify.completed;
  out["repairing"] = verify.repairing;
  if (verify.running) out["done"] = percent_compared(verify);
  const uint64_t differing = of_volume(verify.differing_of, volume, verify.differing);
  out["differing"] = differing * kKibPerBlock;
  if (differing == 0) return out;
  json& extents = out["extents"] = json::array();  // bytes of the volume
  for (const VolumeRange& place : places_of(status.snapshot, verify.extents)) {
    if (place.index == volume) extents.push_back({{"offset", place.range.offset}, {"length", place.range.length}});
  }
  return out;
}

// The copies of all volumes are levelled and compared together: states and progress are the resource's.
json peer_device_json(const ResourceStatus& status, const PeerSnapshot& peer, size_t volume) {
  json out;
  const VolumeShape& shape = status.snapshot.volumes[volume];
  out["volume"] = shape.number;
  out["replication-state"] = to_text(peer.replication);
  out["peer-disk-state"] = to_text(peer.disk);
  out["peer-client"] = false;
  out["resync-suspended"] = paused_text(peer);
  const uint64_t differing =
      of_volume(peer.dirty_of, volume, peer.dirty_blocks) + of_volume(peer.verify.differing_of, volume, peer.verify.differing);
  out["out-of-sync"] = differing * kKibPerBlock;
  out["has-sync-details"] = resyncing(peer);
  out["has-online-verify-details"] = peer.verify.running;
  out["percent-in-sync"] = percent_in_sync(differing, shape.size_bytes);
  out["verify"] = verify_json(status, peer.verify, volume);
  if (peer.follows || peer.followed) out["follower"] = peer.follows ? "peer" : "here";  // under protocol A or B
  if (peer.follows || peer.bytes_behind > 0) {                                          // sent, and not applied there
    out["bytes-behind"] = peer.bytes_behind;
    out["seconds-behind"] = static_cast<double>(peer.behind_for.ns) / 1e9;
  }
  if (!resyncing(peer)) return out;
  const ResyncProgress progress = progress_of(peer);
  out["percent-resync-done"] = progress.percent_done;
  out["done"] = progress.percent_done;
  out["db/dt [MiB/s]"] = static_cast<double>(progress.kib_per_second) / 1024.0;
  out["rate"] = progress.kib_per_second;  // KiB/s
  const json eta = progress.seconds_left < 0 ? json(nullptr) : json(progress.seconds_left);
  out["estimated-seconds-to-finish"] = eta;
  out["eta"] = eta;
  return out;
}

json host_json(const PlaceStatus& place) {
  json out = {{"address", place.address}, {"port", nullptr}, {"family", family_of(place)}};
  if (const auto port = std::atoi(place.port.c_str()); port > 0) out["port"] = port;
  return out;
}

json path_json(const ConnectionPathStatus& path) {
  json out;
  out["this_host"] = host_json(path.own);
  out["remote_host"] = host_json(path.peer);
  out["established"] = path.established;
  out["control-only"] = path.control_only;
  out["carries-data"] = path.carries_data;
  out["carries-control"] = path.carries_control;
  out["error"] = path.established || path.error.empty() ? json(nullptr) : json(path.error);
  return out;
}

json connection_json(const ResourceStatus& status, const PeerSnapshot& peer) {
  json out;
  out["peer-node-id"] = peer.node.value;
  out["name"] = status.name_of(peer.node);
  out["connection-state"] = status.connection_state(peer.node);
  out["congested"] = false;
  out["peer-role"] = to_text(peer.connected ? peer.role : Role::unknown);
  out["tls"] = status.tls(peer.node);
  out["reason"] = peer.refused == Reason::none ? json(nullptr) : json(code_of(peer.refused));
  out["refusal"] = refusal_json(status, peer.node);
  if (!peer.differing.empty()) {  // split brain: bytes of a volume that may differ
    json& ranges = out["may-differ"] = json::array();
    for (const VolumeRange& place : places_of(status.snapshot, peer.differing))
      ranges.push_back({{"volume", place.volume}, {"offset", place.range.offset}, {"length", place.range.length}});
  }
  out["silent-for"] = peer.connected ? 0 : peer.silent_for.ns / 1'000'000'000;
  out["fence"] = to_text(peer.fence);
  out["paths"] = json::array();
  for (const ConnectionPathStatus& path : status.paths(peer.node)) out["paths"].push_back(path_json(path));
  out["peer_devices"] = json::array();
  for (size_t i = 0; i < status.snapshot.volumes.size(); ++i) out["peer_devices"].push_back(peer_device_json(status, peer, i));
  return out;
}

// What is counted for the whole resource shows with its lowest volume.
json device_json(const ResourceStatus& status, size_t volume) {
  const Snapshot& snapshot = status.snapshot;
  const VolumeStatus clients = volume < status.volumes.size() ? status.volumes[volume] : VolumeStatus{};
  const bool lowest = volume == 0;
  json out;
  out["volume"] = snapshot.volumes[volume].number;
  out["minor"] = -1;  // there is no kernel device
  out["disk-state"] = to_text(snapshot.disk);
  out["client"] = false;
  out["open"] = clients.open;
  out["nbd"] = clients.nbd;
  out["quorum"] = snapshot.quorum;
  out["size"] = snapshot.volumes[volume].size_bytes / 1024;
  out["read"] = clients.read_kib;
  out["written"] = clients.written_kib;
  out["upper-pending"] = lowest ? snapshot.client_ops : 0;
  out["healed"] = lowest ? snapshot.healed_blocks * kKibPerBlock : 0;
  out["digests"] = status.digests;
  out["rot-found"] = lowest ? status.rot_found_kib : 0;
  return out;
}

json voter_json(const ResourceStatus& status, const VoterSnapshot& voter) {
  json out;
  out["name"] = status.name_of(voter.seat);
  out["kind"] = voter.seat.is_witness() ? "witness" : "node";
  out["answers"] = voter.answers;
  out["empty-seat"] = voter.empty_seat;
  out["refusal"] = refusal_json(status, voter.seat);
  out["silent-for"] = voter.answers ? 0 : voter.silent_for.ns / 1'000'000'000;
  return out;
}

}  // namespace

nlohmann::ordered_json status_json(const ResourceStatus& status) {
  const Snapshot& snapshot = status.snapshot;
  const bool no_data = snapshot.suspended && snapshot.reason == Reason::last_copy_failed;
  json out;
  out["name"] = status.name;
  out["node-id"] = status.self.value;
  out["role"] = to_text(snapshot.role);
  out["caretaker"] = snapshot.caretaker;
  out["suspended"] = snapshot.suspended;
  out["suspended-user"] = snapshot.suspended_by_operator;
  out["suspended-no-data"] = no_data;
  out["suspended-fencing"] = false;
  out["suspended-quorum"] = snapshot.suspended && !no_data && snapshot.reason != Reason::io_suspended;
  out["force-io-failures"] = false;
  out["write-ordering"] = "flush";
  out["tenure"] = snapshot.tenure ? snapshot.tenure->number : 0;
  out["reason"] = snapshot.reason == Reason::none ? json(nullptr) : json(code_of(snapshot.reason));
  out["votes-answering"] = snapshot.votes_answering;
  out["votes-needed"] = snapshot.votes_needed;
  out["lease-left-ms"] = snapshot.lease_left.ns / 1'000'000;
  out["voters"] = json::array();
  for (const VoterSnapshot& voter : snapshot.voters) out["voters"].push_back(voter_json(status, voter));
  out["voters-without-seat"] = json::array();
  for (const VoterSnapshot& voter : snapshot.without_seat) out["voters-without-seat"].push_back(voter_json(status, voter));
  out["devices"] = json::array();
  for (size_t i = 0; i < snapshot.volumes.size(); ++i) out["devices"].push_back(device_json(status, i));
  out["connections"] = json::array();
  for (const PeerSnapshot& peer : snapshot.peers) out["connections"].push_back(connection_json(status, peer));
  return out;
}

std::string status_json_text(const std::vector<ResourceStatus>& all) {
  json out = json::array();
  for (const ResourceStatus& status : all) out.push_back(status_json(status));
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace lockstep
