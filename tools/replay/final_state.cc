#include "tools/replay/final_state.h"

#include <fmt/format.h>

#include "flight/describe.h"

namespace lockstep::replay {

namespace {

std::string because(Reason reason) { return reason == Reason::none ? "" : fmt::format(" [{}]", code_of(reason)); }

std::string peer_line(const PeerSnapshot& peer) {
  std::string line = fmt::format("  {}: {} role {} disk {} replication {}, {} blocks out of sync", describe(peer.node),
                                 peer.connected ? "connected" : "not connected", to_text(peer.role), to_text(peer.disk),
                                 to_text(peer.replication), peer.dirty_blocks);
  if (peer.resync_total > 0) line += fmt::format(", resync {} of {}", peer.resync_done, peer.resync_total);
  return line + because(peer.refused) + "\n";
}

}  // namespace

std::string final_state(const Replica& replica, Instant now) {
  const Snapshot shown = replica.inspect(now);
  std::string text = fmt::format("  role {} disk {}{}{}{}\n", to_text(shown.role), to_text(shown.disk),
                                 shown.quorum ? "" : ", no quorum", shown.suspended ? ", I/O frozen" : "", because(shown.reason));
  text += fmt::format("  {} of {} votes, {} client operations, {} hot extents, lease {} ms\n", shown.votes_answering,
                      shown.votes_needed, shown.client_ops, shown.hot_extents, shown.lease_left.ns / 1'000'000);
  for (const PeerSnapshot& peer : shown.peers) text += peer_line(peer);
  return text + "  record: " + describe(replica.record()) + "\n";
}

}  // namespace lockstep::replay
