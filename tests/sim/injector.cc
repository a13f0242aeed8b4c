#include "sim/injector.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/membership/acquaintance.h"
#include "sim/world.h"

namespace lockstep::sim {

void Injector::begin() { next(); }

void Injector::later(Duration least, Duration most, std::function<void()> action) {
  world_.queue().after(prng_.between(least, most), std::move(action));
}

void Injector::next() {
  const Plan& plan = world_.plan();
  world_.queue().after(schedule_.between(plan.fault_gap_least, plan.fault_gap_most), [this] {
    if (stopped_) return;
    draw();
    next();
  });
}

void Injector::draw() {
  const Plan& plan = world_.plan();
  const uint32_t index = drawn_++;
  Prng own = schedule_.fork();
  if (world_.queue().now() < quiet_until_) return;
  if (!plan.every_fault && !std::binary_search(plan.only.begin(), plan.only.end(), index)) return;
  const Fault fault = plan.faults[own.below(plan.faults.size())];
  if (!ambush_.waiting(world_.queue().now()) && own.chance(60)) {
    ambush_.lay(own, fault, world_.queue().now() + seconds(6));
    ambush_prng_ = own;
    world_.trace().note(kNoSeat, fmt::format("fault {}: {} waits for its moment", index, name_of(fault)));
    return;
  }
  prng_ = own;
  world_.trace().note(kNoSeat, fmt::format("fault {}: {}", index, name_of(fault)));
  inject(fault);
}

// The victim is who did it, or the other one; a moment later, so that what was begun is still under way.
void Injector::seen(Seat seat, const Effect& effect) {
  if (stopped_) return;
  std::optional<Fault> fault = ambush_.sprung(effect, world_.queue().now());
  if (!fault) return;
  prng_ = ambush_prng_;
  world_.trace().note(kNoSeat, fmt::format("its moment has come: {}", name_of(*fault)));
  if (seat.is_witness()) {
    world_.queue().after(microseconds(1), [this] {
      if (!stopped_) inject(Fault::witness_kill);
    });
    return;
  }
  SimNode* victim = &world_.node(prng_.chance(65) ? seat.value : prng_.below(world_.node_count()));
  const Duration delay = prng_.chance(50) ? microseconds(1) : prng_.between(microseconds(1), milliseconds(2));
  if (*fault == Fault::process_kill && prng_.chance(15)) fault = Fault::witness_kill;
  world_.queue().after(delay, [this, victim, fault = *fault] {
    if (stopped_) return;
    target_ = victim;
    inject(fault);
    target_ = nullptr;
  });
}

void Injector::inject(Fault fault) {
  switch (fault) {
    case Fault::process_kill:
      kill(likely_primary());
      break;
    case Fault::power_loss:
      power_loss(likely_primary(), prng_.between(milliseconds(500), seconds(9)));
      break;
    case Fault::volatile_power_loss:
      power_loss(likely_primary(), prng_.between(milliseconds(500), seconds(9)));
      break;
    case Fault::blackout:
      blackout();
      break;
    case Fault::volatile_blackout:
      blackout();
      break;
    case Fault::pause:
      pause();
      break;
    case Fault::cut:
      cut(false);
      break;
    case Fault::one_way_cut:
      cut(true);
      break;
    case Fault::reset: {
      const auto [a, b] = any_pair();
      world_.net().reset(a, b);
      break;
    }
    case Fault::flapping:
      flap();
      break;
    case Fault::slow_disk:
    case Fault::data_error:
    case Fault::meta_error:
      disk_trouble(fault);
      break;
    case Fault::witness_kill:
      witness_trouble(false);
      break;
    case Fault::witness_wiped:
      witness_trouble(true);
      return;  // counts itself
    case Fault::node_wiped:
      wipe_node();
      return;
    case Fault::node_restored:
      return restore_node();
    case Fault::witness_restored:
      return restore_witness();
    case Fault::forced_history:
      return force_history();
    case Fault::metadata_rot:
      return metadata_rots();
    case Fault::disconnect:
      disconnect();
      break;
    case Fault::clean_stop:
    case Fault::invalidate:
      command(fault);
      return;
    case Fault::rival:
      rival();
      break;
    case Fault::usurp:
      usurp();
      break;
    case Fault::switch_over:
      world_.manager().request_switch_over();
      break;
    case Fault::misfit:
      any_misfit();
      break;
    case Fault::suspend_io:
      suspend_io();
      break;
    case Fault::change_nodes:
      change_nodes();
      break;
    case Fault::detach:
      return detach();
    case Fault::grow:
      grow();
      break;
    case Fault::shrink:
      shrink();
      break;
    case Fault::pause_sync:
      pause_sync();
      break;
    case Fault::verify:
      verify();
      break;
    case Fault::rot:
      return rot();
    case Fault::blunder:
      if (!blunder()) return;
      break;
    case Fault::earlier_life:  // before everything else: Plan::start
      return;
  }
  world_.coverage().hit(fault);
}

SimNode& Injector::any_node() {
  if (target_ != nullptr) return *target_;
  return world_.node(prng_.below(world_.node_count()));
}

SimWitness& Injector::any_witness() { return world_.witness(prng_.below(world_.witness_count())); }

SimNode& Injector::likely_primary() {
  if (target_ != nullptr) return *target_;
  SimNode* primary = world_.manager().primary();
  return primary != nullptr && prng_.chance(55) ? *primary : any_node();
}

std::pair<Seat, Seat> Injector::any_pair() {
  const size_t n = world_.node_count();
  const size_t a = target_ != nullptr ? target_->seat().value : prng_.below(n);
  const size_t b = prng_.below(n + world_.witness_count() - 1);
  const Seat one = world_.node(a).seat();
  if (b >= n - 1) return {one, world_.witness(b - (n - 1)).seat()};
  return {one, world_.node(b < a ? b : b + 1).seat()};
}

void Injector::kill(SimNode& node) {
  node.kill();
  later(milliseconds(20), seconds(7), [&node] { node.start(); });
}

void Injector::power_loss(SimNode& node, Duration off) {
  node.power_off();
  world_.queue().after(off, [&node] {
    node.power_on();
    node.start();
  });
}

void Injector::blackout() {
  for (size_t i = 0; i < world_.node_count(); ++i) power_loss(world_.node(i), prng_.between(milliseconds(300), seconds(6)));
  for (size_t i = 0; i < world_.witness_count(); ++i) {
    SimWitness& witness = world_.witness(i);
    witness.kill();
    later(milliseconds(300), seconds(6), [&witness] { witness.start(); });
  }
}

void Injector::pause() {
  const Duration length =
      prng_.chance(50) ? prng_.between(milliseconds(5), milliseconds(900)) : prng_.between(seconds(1), seconds(9));
  if (world_.witness_count() > 0 && prng_.chance(20)) {
    SimWitness& witness = any_witness();
    witness.pause();
    world_.queue().after(length, [&witness] { witness.resume(); });
    return;
  }
  SimNode& node = likely_primary();
  node.pause();
  world_.queue().after(length, [&node] { node.resume(); });
}

void Injector::cut(bool one_way) {
  const Duration length =
      prng_.chance(40) ? prng_.between(milliseconds(20), milliseconds(900)) : prng_.between(seconds(1), seconds(8));
  const bool outward = prng_.chance(50);
  const bool out = !one_way || outward;
  const bool in = !one_way || !outward;
  if (prng_.chance(35)) return cut_off(likely_primary().seat(), out, in, length);
  const auto [a, b] = any_pair();
  if (out) world_.net().block(a, b, true);
  if (in) world_.net().block(b, a, true);
  world_.queue().after(length, [this, a = a, b = b] {
    world_.net().block(a, b, false);
    world_.net().block(b, a, false);
  });
}

// A node loses everybody, in one direction or both.
void Injector::cut_off(Seat lonely, bool out, bool in, Duration length) {
  std::vector<Seat> others;
  for (size_t i = 0; i < world_.node_count(); ++i) {
    if (world_.node(i).seat() != lonely) others.push_back(world_.node(i).seat());
  }
  for (size_t i = 0; i < world_.witness_count(); ++i) others.push_back(world_.witness(i).seat());
  for (Seat other : others) {
    if (out) world_.net().block(lonely, other, true);
    if (in) world_.net().block(other, lonely, true);
  }
  world_.queue().after(length, [this, lonely, others] {
    for (Seat other : others) {
      world_.net().block(lonely, other, false);
      world_.net().block(other, lonely, false);
    }
  });
}

void Injector::metadata_rots() {
  SimNode& node = any_node();
  if (node.state() != SimNode::State::running) return;
  node.kill();
  later(milliseconds(20), seconds(3), [this, &node] {
    if (node.state() == SimNode::State::stopped && !node.disk().busy() && node.disk().rot_metadata())
      world_.coverage().hit(Fault::metadata_rot);
    node.start();
  });
}

void Injector::disconnect() {
  SimNode& one = any_node();
  const size_t step = 1 + prng_.below(world_.node_count() - 1);
  const Seat other = world_.node((one.seat().value + step) % world_.node_count()).seat();
  one.set_stand_alone(other, true);
  world_.net().reset(one.seat(), other);
  later(milliseconds(200), seconds(9), [&one, other] { one.set_stand_alone(other, false); });
}

void Injector::rival() {
  SimNode* primary = world_.manager().primary();
  SimNode& node = any_node();
  SimNode& rival = primary == &node ? world_.node((node.seat().value + 1U) % world_.node_count()) : node;
  world_.manager().rival(rival, prng_.between(seconds(1), seconds(8)));
}

// What P2 is about: the Primary goes on in the belief that it is Primary while another takes over.
void Injector::usurp() {
  SimNode* primary = world_.manager().primary();
  if (primary == nullptr) return;
  const Duration length = prng_.between(seconds(3), seconds(12));
  // Voters that start anew meanwhile have forgotten to whom they granted a lease: the witness, and the rival itself.
  if (world_.witness_count() > 0 && prng_.chance(35)) {
    SimWitness& witness = any_witness();
    SimNode* rival = prng_.chance(70) ? &world_.node((primary->seat().value + 1U) % world_.node_count()) : nullptr;
    later(milliseconds(20), milliseconds(1500), [this, &witness, rival] {
      if (stopped_) return;
      witness.kill();
      if (rival != nullptr) rival->kill();
      later(milliseconds(10), milliseconds(150), [&witness, rival] {
        witness.start();
        if (rival != nullptr) rival->start();
      });
    });
  }
  switch (prng_.below(3)) {
    case 0:
      cut_off(primary->seat(), true, true, length);
      break;
    case 1:
      cut_off(primary->seat(), prng_.chance(50), true, length);
      break;
    default:
      primary->pause();
      world_.queue().after(length, [primary] { primary->resume(); });
      break;
  }
  world_.manager().rival(world_.node((primary->seat().value + 1U) % world_.node_count()), length + seconds(2));
}

void Injector::flap() {
  const auto [a, b] = any_pair();
  const int64_t times = prng_.between(3, 8);
  Duration at{0};
  for (int64_t i = 0; i < times; ++i) {
    at = at + prng_.between(milliseconds(5), milliseconds(700));
    world_.queue().after(at, [this, a = a, b = b] {
      if (!stopped_) world_.net().reset(a, b);
    });
  }
}

// A disk that returned errors is attached anew some time later: the process is restarted, as an operator
// does.
void Injector::disk_trouble(Fault fault) {
  SimNode& node = any_node();
  DiskBehaviour& disk = node.disk().behaviour;
  DiskBehaviour healthy = world_.plan().disk;
  healthy.volatile_cache = world_.plan().volatile_cache;
  if (fault == Fault::slow_disk)
    disk.slowest = milliseconds(prng_.chance(70) ? prng_.between(20, 400) : prng_.between(400, 1500));
  if (fault == Fault::data_error) disk.data_error_permille = static_cast<int>(prng_.between(3, 400));
  if (fault == Fault::meta_error) disk.meta_error_permille = static_cast<int>(prng_.between(3, 400));
  later(milliseconds(300), seconds(4), [this, &node, healthy, fault] {
    node.disk().behaviour = healthy;
    if (fault == Fault::slow_disk) return;
    later(seconds(0), seconds(3), [this, &node] {
      if (!stopped_) kill(node);
    });
  });
}

// A member may be a blank disk in the place of one that was lost, until it is dropped (seed 1407467).
bool Injector::whole_copy_among(SeatSet members) const {
  for (size_t i = 0; i < world_.node_count(); ++i) {
    const SimNode& node = world_.node(i);
    if (members.contains(node.seat()) && !node.disk().record().inconsistent) return true;
  }
  return false;
}

// Only what the rules allow to lose: somebody else has every acknowledged write, every voter has its seat,
// and a majority remains without this one.
bool Injector::may_wipe(Seat seat) const {
  const auto& tenure = world_.oracle().latest_tenure();
  if (forcing_ || !tenure || tenure->voters.size() < 3) return false;
  if (!whole_copy_among(tenure->members - SeatSet{seat})) return false;
  // What one acceptor has accepted may yet turn out to be decided: it must not leave this copy as the only
  // one either, nor two voters (seed 2512964).
  for (const Tenure& open : world_.accepted_tenures()) {
    if (open.voters.size() < 3) return false;
    if (!whole_copy_among(open.members - SeatSet{seat})) return false;
  }
  // A copy that lost its cache, or is about to find out that it did, replaces no good one.
  for (size_t i = 0; i < world_.node_count() && world_.plan().volatile_cache; ++i) {
    const SimNode& other = world_.node(i);
    if (other.seat() != seat && (!other.alive() || other.disk().record().doubtful)) return false;
  }
  // Nor may this node be the last that knows of a decided tenure.
  for (size_t i = 0; i < world_.node_count(); ++i) {
    const SimNode& other = world_.node(i);
    if (other.seat() != seat && other.disk().record().adopted != tenure) return false;
  }
  return world_.voters_seated();
}

void Injector::wipe_node() {
  SimNode& node = any_node();
  if (!may_wipe(node.seat())) return;
  const ResourceId resource = node.disk().record().resource;
  node.kill();
  world_.coverage().hit(Fault::node_wiped);
  later(milliseconds(100), seconds(4), [this, &node, resource] {
    if (node.state() == SimNode::State::stopped && !node.disk().busy() && may_wipe(node.seat())) {
      node.create_metadata(resource, kGarbage);
    }
    node.start();
  });
}

// Every other voter has met a later run, and remembers it: only then is it promised that the older one is noticed.
bool Injector::may_restore(Seat seat, const Uuid& acceptor, uint64_t start) const {
  const auto remembers = [&](const VoterMemory& memory) { return remembered(memory, seat, acceptor).start > start; };
  for (size_t i = 0; i < world_.node_count(); ++i) {
    if (world_.node(i).seat() != seat && !remembers(world_.node(i).disk().record().memory)) return false;
  }
  for (size_t i = 0; i < world_.witness_count(); ++i) {
    if (!seat.is_witness() && !remembers(world_.witness(i).stable().memory)) return false;
  }
  return may_wipe(seat);
}

void Injector::restore_node() {
  SimNode& node = any_node();
  if (node.disk().set_back()) return;
  const auto image = node.disk().image();
  const Uuid acceptor = image->record.acceptor.acceptor;
  const uint64_t start = image->record.start();
  kill(node);  // and starts anew, to be met in that run
  later(seconds(1), seconds(12), [this, &node, image, acceptor, start] {
    if (stopped_ || !may_restore(node.seat(), acceptor, start)) return;
    node.kill();
    later(milliseconds(100), seconds(3), [this, &node, image, acceptor, start] {
      if (node.state() == SimNode::State::stopped && !node.disk().busy() && may_restore(node.seat(), acceptor, start)) {
        world_.coverage().hit(Fault::node_restored);
        node.restore(*image);
        make_anew_when_superseded(node);
      }
      node.start();
    });
  });
}

// The operator reads what the node says, and does it.
void Injector::make_anew_when_superseded(SimNode& node) {
  later(milliseconds(200), seconds(1), [this, &node] {
    if (!node.disk().set_back()) return;
    const bool told = node.disk().record().memory.superseded;
    if (told) node.kill();
    if (told && node.state() == SimNode::State::stopped && !node.disk().busy()) {
      node.create_metadata(node.disk().record().resource, kGarbage);
      node.start();
      return;
    }
    make_anew_when_superseded(node);
  });
}

void Injector::restore_witness() {
  if (world_.witness_count() == 0) return;
  SimWitness& witness = any_witness();
  if (witness.set_back()) return;
  const WitnessRecord image = witness.stable();
  witness.kill();
  later(milliseconds(50), milliseconds(500), [&witness] { witness.start(); });
  later(seconds(1), seconds(12), [this, &witness, image] {
    if (stopped_ || !may_restore(witness.seat(), image.acceptor.acceptor, image.memory.lineage.start)) return;
    witness.kill();
    world_.coverage().hit(Fault::witness_restored);
    witness.restore(image);
    later(milliseconds(50), seconds(3), [&witness] { witness.start(); });
  });
}

void Injector::witness_trouble(bool wipe) {
  if (world_.witness_count() == 0) return;
  SimWitness& witness = any_witness();
  if (wipe && !may_wipe(witness.seat())) return;
  witness.kill();
  if (wipe) witness.wipe();
  if (wipe) world_.coverage().hit(Fault::witness_wiped);
  later(milliseconds(50), seconds(8), [&witness] { witness.start(); });
}

void Injector::command(Fault fault) {
  SimNode& node = any_node();
  if (!node.alive() || node.primary()) return;
  AdminOp op = AdminOp::stop;
  if (fault == Fault::invalidate) op = AdminOp::invalidate;
  SimNode* by = &node;
  if (fault == Fault::invalidate && prng_.chance(50)) {
    op = AdminOp::invalidate_remote;  // by whoever is there: some of them are refused
    by = world_.manager().primary() != nullptr ? world_.manager().primary() : &any_node();
    if (by == &node || !by->alive()) return;
  }
  const auto done = [this, &node, fault, op](bool ok) {
    if (ok && op == AdminOp::invalidate_remote) ++world_.coverage().copies_given_up_remotely;
    if (!ok || fault != Fault::clean_stop) return;
    // The process ends; the reply was its last word. Not within the step that answered.
    world_.queue().after(microseconds(1), [this, &node] { kill(node); });
  };
  const bool sent = world_.manager().command(*by, op, done, node.seat());
  if (sent) world_.coverage().hit(fault);
}

}  // namespace lockstep::sim
