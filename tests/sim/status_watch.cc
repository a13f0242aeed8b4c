#include "sim/status_watch.h"

namespace lockstep::sim {

namespace {
constexpr Duration kInterval = milliseconds(170);  // in step with nothing else
}

void StatusWatch::begin() {
  context_.queue.after(kInterval, [this] {
    for (const SimNode* node : nodes_) {
      if (node->alive()) look(*node);
    }
    begin();
  });
}

void StatusWatch::look(const SimNode& node) {
  const Snapshot status = node.inspect();
  if (status.suspended) context_.oracle.refused(node.seat(), "I/O, says its status,", status.reason);
  count(status.reason);
  for (const PeerSnapshot& peer : status.peers) count(peer.refused);
}

void StatusWatch::count(Reason reason) {
  if (reason != Reason::none) ++context_.coverage.shown[static_cast<size_t>(reason)];
}

}  // namespace lockstep::sim
