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

}  // namespace lockstep::sim
