// Mistakes of people: nodes that do not fit together for a while, commands at the wrong moment, a resource that is created beside a witness
// of its earlier life. All of it has to be refused, by name, and to harm nothing.
#include <algorithm>

#include "sim/injector.h"
#include "sim/world.h"

namespace lockstep::sim {
namespace {

const Uuid kEarlierHistory = Uuid::from_words(0xea211e2, 1);

// What a witness has of a resource whose disks were made anew since.
Tenure earlier_life(const Plan& plan, const SimWitness& witness) {
  Tenure tenure;
  tenure.history = kEarlierHistory;
  tenure.number = 5;
  tenure.origin = {9, Seat{0}, 77};
  tenure.clean = true;
  tenure.voter_set = 2;
  tenure.members = plan.core.data_nodes;
  for (Seat seat : plan.core.data_nodes) tenure.voters.push_back({seat, Uuid::from_words(0xea211e2, 10U + seat.value)});
  tenure.voters.push_back({witness.seat(), witness.acceptor()});
  tenure.volumes = plan.volumes;
  if (tenure.volumes.empty()) tenure.volumes.push_back({0, plan.extents * kBlocksPerExtent * kBlockBytes});
  return tenure;
}

}  // namespace

// Somebody corrects it some time later, and connects the two again. A hello that is being judged at that moment is refused yet.
void Injector::misfit(SimNode& one, SimNode& other, Misfit kind, Duration length) {
  const bool mutual = prng_.chance(50);
  one.mishear(other.seat(), kind);
  if (mutual) other.mishear(one.seat(), kind);
  world_.net().reset(one.seat(), other.seat());
  world_.queue().after(length, [&one, &other] {
    one.mishear(other.seat(), Misfit::none);
    other.mishear(one.seat(), Misfit::none);
  });
  world_.queue().after(length + seconds(1), [&one, &other] {
    one.set_stand_alone(other.seat(), false);
    other.set_stand_alone(one.seat(), false);
  });
}

void Injector::any_misfit() {
  SimNode& one = any_node();
  const size_t step = 1 + prng_.below(world_.node_count() - 1);
  constexpr Misfit kKinds[] = {Misfit::other_protocol, Misfit::my_node_id, Misfit::small_disk, Misfit::two_hellos};
  const Misfit kind = kKinds[prng_.below(4)];
  misfit(one, world_.node((one.seat().value + step) % world_.node_count()), kind, prng_.between(milliseconds(200), seconds(7)));
}

// A node that an operator's force has left behind, and that knows it.
void Injector::promote_who_was_left() {
  for (size_t i = 0; i < world_.node_count(); ++i) {
    SimNode& node = world_.node(i);
    if (node.alive() && !node.primary() && node.inspect().reason == Reason::different_history)
      return world_.manager().promote_anyway(node);
  }
}

void Injector::slow_disk(SimNode& node, Duration length) {
  node.disk().behaviour.slowest = milliseconds(1500);
  world_.queue().after(length, [this, &node] { node.disk().behaviour.slowest = world_.plan().disk.slowest; });
}

// False: nobody is there to do it to.
bool Injector::blunder() {
  SimNode* primary = world_.manager().primary();
  const uint64_t kind = prng_.below(4);
  SimNode& node = any_node();
  const auto command = [this](SimNode& whom, AdminOp op, Seat peer = {}) {
    return world_.manager().command(
        whom, op, [](bool) {}, peer);
  };
  if (kind == 0) return command(node, AdminOp::new_current_uuid);
  if (kind == 1 && primary != nullptr) return command(*primary, AdminOp::invalidate);
  if (kind == 2 && primary != nullptr) {  // with its clients at work
    const Duration longer_than_its_patience = seconds(16);
    slow_disk(*primary, longer_than_its_patience);
    if (prng_.chance(50)) quiet_until_ = world_.queue().now() + longer_than_its_patience;
    return command(*primary, AdminOp::secondary);
  }
  const auto& faults = world_.plan().faults;
  const bool one_history = std::find(faults.begin(), faults.end(), Fault::forced_history) == faults.end();
  const Seat other = world_.node((node.seat().value + 1U) % world_.node_count()).seat();
  return kind == 3 && one_history && command(node, AdminOp::discard_history, other);
}

// Before the resource is created.
void Injector::rough_start() {
  switch (world_.plan().start) {
    case Start::smooth:
      return;
    case Start::unequal_disks:
      world_.coverage().hit(Fault::misfit);
      return misfit(world_.node(0), world_.node(1), Misfit::small_disk, prng_.between(seconds(4), seconds(7)));
    case Start::earlier_life:
      world_.coverage().hit(Fault::earlier_life);
      world_.witness(0).remember(earlier_life(world_.plan(), world_.witness(0)));
      return later(seconds(4), seconds(8), [this] { forget_earlier_life(); });
  }
}

// The operator reads why the creation is refused, and removes what the witness has. When it went ahead without this witness: as soon as
// nothing is lost by it.
void Injector::forget_earlier_life() {
  SimWitness& witness = world_.witness(0);
  const bool old = witness.stable().acceptor.tenure && witness.stable().acceptor.tenure->history == kEarlierHistory;
  if (!old) return;
  if (world_.manager().created() && !may_wipe(witness.seat()))
    return later(milliseconds(500), milliseconds(500), [this] { forget_earlier_life(); });
  witness.kill();
  witness.wipe();
  later(milliseconds(50), seconds(1), [&witness] { witness.start(); });
}

}  // namespace lockstep::sim
