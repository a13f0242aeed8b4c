// Operators who pause resyncs and compare copies, at any moment and on any node. What they pause they let go on; a pause that ends with the
// process is over by itself.
#include "sim/injector.h"
#include "sim/world.h"

namespace lockstep::sim {

void Injector::meddle(SimNode& node, AdminOp op, const Range& range, Seat peer) {
  if (node.alive()) node.post(AdminRequest{AdminId{kMeddling + ++meddled_}, op, peer, {}, range});
}

void Injector::pause_sync() {
  SimNode& node = any_node();
  if (!node.alive()) return;
  world_.coverage().hit(Fault::pause_sync);
  meddle(node, AdminOp::pause_sync);
  later(milliseconds(100), seconds(6), [this, &node] { meddle(node, AdminOp::resume_sync); });
}

void Injector::suspend_io() {
  SimNode* primary = world_.manager().primary();
  SimNode& node = primary != nullptr && prng_.chance(85) ? *primary : any_node();
  if (!node.alive()) return;
  world_.coverage().hit(Fault::suspend_io);
  meddle(node, AdminOp::suspend_io);
  later(milliseconds(1), seconds(3), [this, &node] { meddle(node, AdminOp::resume_io); });
}

// To all that the disks have, or to a part of it; sometimes to what must be refused.
void Injector::grow() {
  SimNode* primary = world_.manager().primary();
  SimNode& node = primary != nullptr && prng_.chance(90) ? *primary : any_node();
  if (!node.alive()) return;
  world_.coverage().hit(Fault::grow);
  const uint64_t extents = world_.plan().extents;
  Range range;
  if (prng_.chance(50)) range = {0, prng_.between(extents / 2, extents) * kExtentBytes + prng_.below(3) * kBlockBytes};
  meddle(node, AdminOp::resize, range);
}

// Often grown again soon, while copies may not have heard of the one or the other.
void Injector::shrink() {
  SimNode* primary = world_.manager().primary();
  SimNode& node = primary != nullptr && prng_.chance(90) ? *primary : any_node();
  if (!node.alive()) return;
  world_.coverage().hit(Fault::shrink);
  const uint64_t extents = world_.plan().extents;
  const Range range{0, prng_.between(extents / 2, extents - 1) * kExtentBytes + prng_.below(3) * kBlockBytes};
  world_.oracle().shrink_asked(range.length / kBlockBytes);
  meddle(node, AdminOp::shrink, range);
  if (prng_.chance(60))
    later(milliseconds(1), seconds(3), [this] {
      if (!stopped_) grow();  // seed 20001850: a tenure after everything was healed
    });
}

// A node comes or goes: in every configuration, one after the other, or in one only, or not the same one everywhere. Also the Primary goes, and what
// was written is written back. The operator who was refused tries again.
void Injector::change_nodes() {
  world_.coverage().hit(Fault::change_nodes);
  const size_t count = world_.node_count();
  const size_t first = prng_.below(count);
  const size_t victim = prng_.chance(60) ? count - 1 : prng_.below(count);
  const bool comes = prng_.chance(50);
  const size_t told = prng_.chance(50) ? count : 1;
  for (size_t i = 0; i < told; ++i) {
    const size_t at = (first + i) % count;
    const size_t who = prng_.chance(85) ? victim : prng_.below(count);
    if (who == at) continue;
    SimNode& node = world_.node(at);
    const Seat seat = world_.node(who).seat();
    later(microseconds(1), i == 0 ? milliseconds(1) : seconds(2), [this, &node, comes, seat] { reconfigure(node, seat, comes); });
    if (!prng_.chance(30)) continue;
    later(milliseconds(1), milliseconds(600), [this, &node, comes, seat] { reconfigure(node, seat, !comes); });
  }
}

void Injector::reconfigure(SimNode& node, Seat who, bool with) {
  if (stopped_) return;
  node.configure(with ? node.configured() | SeatSet{who} : node.configured() - SeatSet{who});
  if (prng_.chance(20)) {
    node.kill();
    return later(milliseconds(1), milliseconds(500), [&node] { node.start(); });
  }
  if (!prng_.chance(15)) adjust(node, 6);  // or at the next start
}

void Injector::adjust(SimNode& node, int tries) {
  if (stopped_ || tries == 0 || node.adjusted()) return;
  node.adjust(AdminId{kMeddling + ++meddled_});
  later(milliseconds(300), seconds(2), [this, &node, tries] { adjust(node, tries - 1); });
}

void Injector::verify() {
  SimNode* primary = world_.manager().primary();
  SimNode& node = primary != nullptr && prng_.chance(85) ? *primary : any_node();
  if (!node.alive()) return;
  world_.coverage().hit(Fault::verify);
  const uint64_t extents = world_.plan().extents;
  Range range;
  if (prng_.chance(60)) range = {prng_.below(extents) * kExtentBytes, prng_.between(1, 3) * kExtentBytes};
  meddle(node, AdminOp::verify, range);
  if (prng_.chance(15)) meddle(node, AdminOp::repair, {}, any_node().seat());
  if (prng_.chance(15)) later(milliseconds(1), seconds(2), [this, &node] { meddle(node, AdminOp::verify_stop); });
}

// Often the Primary's, which then serves from the others.
void Injector::detach() {
  SimNode* primary = world_.manager().primary();
  SimNode& node = primary != nullptr && prng_.chance(45) ? *primary : any_node();
  if (!node.alive()) return;
  const auto done = [this, &node, start = node.start_count()](bool ok) {
    if (!ok) return;
    ++world_.coverage().disks_detached;
    later(milliseconds(100), seconds(9), [this, &node, start] { attach(node, start); });
  };
  if (world_.manager().command(node, AdminOp::detach, done)) world_.coverage().hit(Fault::detach);
}

// As the daemon does it: a Secondary starts anew on its disk. A Primary hands over first.
void Injector::attach(SimNode& node, uint64_t start) {
  if (stopped_ || !node.alive() || node.start_count() != start) return;
  if (!node.primary()) {
    node.kill();
    return later(milliseconds(1), milliseconds(500), [&node] { node.start(); });
  }
  world_.manager().request_switch_over();
  later(milliseconds(500), seconds(4), [this, &node, start] { attach(node, start); });
}

// A block may be bad on one copy only: of two that are there is nothing left to give.
void Injector::rot() {
  SimNode& node = prng_.chance(50) ? likely_primary() : any_node();
  if (!world_.plan().digests_at_rest.contains(node.seat())) return;
  const auto good_elsewhere = [this](uint64_t block) {
    for (size_t i = 0; i < world_.node_count(); ++i) {
      if (world_.node(i).disk().rotten({block * kBlockBytes, kBlockBytes})) return false;
    }
    return true;
  };
  for (uint64_t left = prng_.between(1, 8); left > 0; --left) {
    if (node.disk().rot(prng_, good_elsewhere)) world_.coverage().hit(Fault::rot);
  }
}

}  // namespace lockstep::sim
