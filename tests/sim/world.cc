#include "sim/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "flight/describe.h"

namespace lockstep::sim {

World::World(const Plan& plan, TraceDetail trace, RecordingSink recordings)
    : plan_(plan),
      recordings_(std::move(recordings)),
      prng_(plan.seed ^ 0x5eed),
      trace_(queue_, trace),
      oracle_(queue_, coverage_),
      net_(queue_, prng_.fork()),
      workload_(queue_, prng_.fork(), oracle_, coverage_, plan.extents * kBlocksPerExtent, plan.workload),
      manager_(context(), prng_.fork(), workload_, plan.manager),
      injector_(*this, prng_.fork()),
      watch_(context()) {
  net_.behaviour = plan.net;
  if (plan.volatile_cache) oracle_.expect_volatile_caches();
  if (!plan.asynchronous.empty()) oracle_.expect_followers();
  net_.tell_mangled([this](std::string what) { oracle_.fail("codec", std::move(what)); });
  oracle_.ask_links([this](Seat a, Seat b) { return net_.connected(a, b); });
  const ResourceId resource = prng_.uuid();
  for (uint8_t i = 0; i < plan.data_nodes; ++i) {
    CoreConfig config = plan.core;
    config.self = Seat{i};
    config.asynchronous = followers_of(config.self) - SeatSet{config.self};
    if (plan.late_node && i + 1 < plan.data_nodes) config.data_nodes.erase(Seat{static_cast<uint8_t>(plan.data_nodes - 1)});
    nodes_.push_back(std::make_unique<SimNode>(context(), prng_.fork(), config, plan.extents * kBlocksPerExtent));
    SimNode& node = *nodes_.back();
    node.disk().behaviour = plan.disk;
    node.disk().behaviour.volatile_cache = plan.volatile_cache;
    if (plan.digests_at_rest.contains(node.seat())) node.keep_digests();
    node.have_volumes(plan.volumes);
    node.create_metadata(resource, kFirstVersion);
    if (plan.manager.volume_bytes > 0)
      node.disk().scribble(plan.manager.volume_bytes / kBlockBytes, kGarbage + 1 + node.seat().value);
    workload_.add_node(&node);
    manager_.add_node(&node);
    watch_.add_node(&node);
    net_.attach(node.seat(), &node);
  }
  for (uint8_t i = 0; i < plan.witnesses; ++i) {
    witnesses_.push_back(std::make_unique<SimWitness>(context(), prng_.fork(), witness_seat(i), plan.core.lease_drift_permille));
    net_.attach(witness_seat(i), witnesses_.back().get());
  }
  for (size_t a = 0; a < nodes_.size(); ++a) {
    for (size_t b = a + 1; b < nodes_.size(); ++b) net_.join(nodes_[a]->seat(), nodes_[b]->seat());
    for (const auto& witness : witnesses_) net_.join(nodes_[a]->seat(), witness->seat());
  }
}

void World::power_up() {
  for (const auto& witness : witnesses_) witness->start();
  for (const auto& node : nodes_) {
    node->power_on();
    queue_.after(prng_.between(milliseconds(1), seconds(1)), [n = node.get()] { n->start(); });
  }
}

void World::boot() {
  power_up();
  manager_.begin();
}

bool World::run_until(Duration limit, const std::function<bool()>& condition) {
  const Instant end = queue_.now() + limit;
  while (!oracle_.failed()) {
    if (condition()) return true;
    // Conditions are about states that last: looking every few milliseconds is enough.
    const Instant next = std::min(end, queue_.now() + milliseconds(20));
    while (!oracle_.failed() && queue_.run_one(next)) {
    }
    if (queue_.now() >= end) return condition();
  }
  return false;
}

void World::run_for(Duration time) {
  run_until(time, [] { return false; });
}

void World::run() {
  injector_.rough_start();
  boot();
  watch_.begin();
  if (!run_until(seconds(30), [this] { return manager_.created() && manager_.primary() != nullptr; })) {
    if (!oracle_.failed()) oracle_.fail("P9", "no Primary 30 s after the creation of the resource; " + describe_state());
    return;
  }
  injector_.begin();
  run_for(plan_.active);
  if (oracle_.failed()) return;
  heal();
  const Duration healing = longest_healing();
  if (plan_.unattended) {
    manager_.rest(true);
    if (!run_until(healing, [this] { return levelled(); })) {
      if (!oracle_.failed()) oracle_.fail("P9", "not levelled in time without a Primary; " + describe_state());
      return;
    }
    ++coverage_.levelled_unattended;
    oracle_.compare_identical();
    manager_.rest(false);
  }
  if (!run_until(healing, [this] { return settled(); })) {
    if (!oracle_.failed()) oracle_.fail("P9", "not healed in time; " + describe_state());
    return;
  }
  stay_whole();
  if (!oracle_.failed()) prove();
}

// Nothing is wrong any more, so nothing may go wrong: under load, no peer is dropped and nobody is deposed.
// Longer than any time-out of the core.
void World::stay_whole() {
  trace_.note(kNoSeat, "settled");
  const uint64_t decided = oracle_.tenures_decided();
  run_for(seconds(7));
  if (oracle_.failed()) return;
  if (!settled() || oracle_.tenures_decided() != decided)
    oracle_.fail("P9", "healed, and without a fault no longer whole; " + describe_state());
}

void World::heal() {
  trace_.note(kNoSeat, "everything is healed");
  injector_.stop();
  manager_.calm();
  for (const auto& node : nodes_) node->disk().cure();
  net_.behaviour.stall_permille = 0;
  for (size_t a = 0; a < nodes_.size(); ++a) {
    auto free_direction = [&](Seat one, Seat two) {
      net_.block(one, two, false);
      net_.block(two, one, false);
    };
    for (size_t b = a + 1; b < nodes_.size(); ++b) free_direction(nodes_[a]->seat(), nodes_[b]->seat());
    for (const auto& witness : witnesses_) free_direction(nodes_[a]->seat(), witness->seat());
  }
  for (const auto& witness : witnesses_) {
    witness->resume();
    witness->start();
  }
  for (const auto& node : nodes_) {
    SimNode* n = node.get();
    n->disk().behaviour = plan_.disk;
    n->disk().behaviour.volatile_cache = plan_.volatile_cache;
    n->resume();
    n->kill();  // a failed disk is attached anew only by a new process
    n->configure(plan_.core.data_nodes);
    n->configure_congestion(CoreConfig{}.congestion_bytes);  // load is no fault
    for (const auto& other : nodes_) n->set_stand_alone(other->seat(), false);
    queue_.after(prng_.between(milliseconds(10), seconds(2)), [n] {
      n->power_on();
      n->start();
    });
  }
}

std::vector<Tenure> World::accepted_tenures() const {
  std::vector<Tenure> open;
  for (const auto& node : nodes_) {
    const auto& tenure = node->disk().record().acceptor.tenure;
    if (tenure) open.push_back(*tenure);
  }
  for (const auto& witness : witnesses_) {
    if (witness->stable().acceptor.tenure) open.push_back(*witness->stable().acceptor.tenure);
  }
  return open;
}

namespace {

bool votes_elsewhere(const SimWitness& witness, const Tenure& tenure) {
  const auto& vote = witness.stable().acceptor.tenure;
  return vote && vote->history != tenure.history;
}

}  // namespace

bool World::voters_seated() const {
  const auto& tenure = oracle_.latest_tenure();
  if (!tenure || tenure->voters.size() != nodes_.size() + witnesses_.size()) return false;
  // The name of a memory that was set back is still there; its vote is not.
  for (const auto& node : nodes_) {
    if (node->disk().set_back()) return false;
  }
  for (const auto& witness : witnesses_) {
    if (witness->set_back()) return false;
  }
  return std::all_of(tenure->voters.begin(), tenure->voters.end(), [this, &tenure](const Voter& voter) {
    const Uuid& there = voter.seat.is_witness() ? witnesses_.at(voter.seat.value - kMaxDataNodes)->acceptor()
                                                : nodes_.at(voter.seat.value)->disk().record().acceptor.acceptor;
    // Named a moment before it has come over from an earlier life, it votes there yet (seed 5551003113).
    const bool elsewhere = voter.seat.is_witness() && votes_elsewhere(*witnesses_.at(voter.seat.value - kMaxDataNodes), *tenure);
    return there == voter.acceptor && !elsewhere;
  });
}

// Everybody is there, nobody is Primary, and the tenure says that all copies are the same.
bool World::levelled() const {
  const auto& tenure = oracle_.latest_tenure();
  if (!tenure || !tenure->clean || tenure->members.size() != static_cast<int>(nodes_.size())) return false;
  const auto level = [](const Snapshot& status) {
    const auto& dirty = status.dirty_blocks;
    return status.disk == DiskState::up_to_date && std::all_of(dirty.begin(), dirty.end(), [](uint64_t n) { return n == 0; });
  };
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
    return node->alive() && !node->disk().set_back() && node->durable_view().adopted == tenure && level(node->inspect()) &&
           !node->disk().busy();
  });
}

// A copy in small pieces, one at a time, over a slow network and disks takes its time, and a promotion begins it anew (seed 1506495).
Duration World::longest_healing() const {
  const Duration piece = plan_.disk.slowest + plan_.net.slowest + plan_.net.stall_slowest / 1000 * plan_.net.stall_permille;
  const uint64_t bytes = nodes_.front()->disk().blocks() * kBlockBytes;
  const uint64_t pieces = bytes / plan_.core.resync_chunk_bytes / plan_.core.resync_window;
  return seconds(120) + piece * static_cast<int64_t>(3 * pieces);
}

// While it is Primary.
SeatSet World::followers_of(Seat primary) const {
  if (plan_.asynchronous.contains(primary)) return plan_.core.data_nodes - SeatSet{primary};
  return plan_.asynchronous;
}

bool World::settled() const {
  const SimNode* primary = manager_.primary();
  const auto& tenure = oracle_.latest_tenure();
  if (primary == nullptr || !voters_seated() || manager_.fences_under_way() > 0 ||
      tenure->members != plan_.core.data_nodes - followers_of(primary->seat()))
    return false;
  for (const auto& node : nodes_) {
    if (!node->alive()) return false;
    const Snapshot status = node->inspect();
    const bool follows = followers_of(primary->seat()).contains(node->seat());
    if (status.disk != (follows ? DiskState::consistent : DiskState::up_to_date) || status.suspended) return false;
    // A node that has just come back is not yet missed by those who had a link to its last run.
    if (!std::all_of(status.peers.begin(), status.peers.end(), [](const PeerSnapshot& peer) { return peer.connected; }))
      return false;
    const auto& adopted = node->durable_view().adopted;
    if (!adopted || !(*adopted == *tenure)) return false;
    for (size_t peer = 0; peer < nodes_.size(); ++peer) {
      // What anybody but the Primary has against a follower, and a follower against anybody, is more than it was.
      const bool vague = node.get() != primary && (follows || followers_of(primary->seat()).contains(nodes_[peer]->seat()));
      if (status.dirty_blocks[peer] > 0 && !vague) return false;
    }
  }
  return true;
}

void World::prove() {
  workload_.stop();
  auto idle = [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [this](const auto& n) {
      return workload_.in_flight(n->seat()) == 0 && !n->disk().busy() && n->payloads_held() == 0;
    });
  };
  if (!run_until(seconds(30), idle)) {
    if (!oracle_.failed()) oracle_.fail("P10", "requests, disk operations or payloads stay for ever; " + describe_state());
    return;
  }
  SimNode* primary = manager_.primary();
  if (primary == nullptr) {
    oracle_.fail("P9", "the Primary is gone without a fault; " + describe_state());
    return;
  }
  bool done = false;
  bool ok = false;
  workload_.read_back(primary->seat(), [&](bool all_read) {
    done = true;
    ok = all_read;
  });
  if (!run_until(seconds(30), [&] { return done; }) || !ok) {
    oracle_.fail("P9", "cannot read everything back; " + describe_state());
  }
  oracle_.compare_copies();
  oracle_.compare_identical();
  oracle_.check_history();
}

std::string World::describe_state() const {
  std::string text;
  for (const auto& node : nodes_) {
    text += describe(node->seat()) + ": ";
    if (node->state() != SimNode::State::running) {
      text += "not running; ";
      continue;
    }
    const Snapshot s = node->inspect();
    text += fmt::format("role {} disk {} quorum {} suspended {} reason {} ops {} clients {} payloads {} disk-io {}",
                        static_cast<int>(s.role), static_cast<int>(s.disk), s.quorum, s.suspended, code_of(s.reason),
                        s.client_ops, workload_.in_flight(node->seat()), node->payloads_held(), node->disk().in_flight());
    for (const PeerSnapshot& p : s.peers) {
      text += fmt::format(" peer {} connected {} repl {} dirty {}", describe(p.node), p.connected,
                          static_cast<int>(p.replication), p.dirty_blocks);
    }
    text += "; ";
  }
  return text + (oracle_.latest_tenure() ? describe(*oracle_.latest_tenure()) : "no tenure");
}

Coverage World::collect_coverage() const {
  Coverage all = coverage_;
  all.promoted_after_clean += oracle_.promotions().after_clean;
  all.promoted_after_unclean += oracle_.promotions().after_unclean;
  all.promoted_by_half += oracle_.promotions().by_half;
  all.half_open += net_.counters.half_open;
  all.silences += net_.counters.silence_noticed;
  all.late_messages += net_.counters.late;
  all.frames_split += net_.counters.wire.split;
  all.frames_joined += net_.counters.wire.joined;
  all.frames_cut += net_.counters.frames_cut;
  for (const auto& node : nodes_) {
    const auto& c = node->disk().counters;
    all.torn_blocks += c.torn_blocks;
    all.torn_pages += c.torn_pages;
    all.strayed_pages += c.strayed_pages;
    all.superblocks_interrupted += c.superblock.interrupted;
    all.superblocks_repaired += c.superblock.repairs;
    all.repairs_interrupted += c.superblock.repairs_interrupted;
    all.orphans_landed += c.orphans_landed;
    all.orphans_lost += c.orphans_lost;
    all.lost_blocks += c.lost_blocks;
    all.rotten_blocks += c.rotten_blocks;
    all.disk_errors += c.data_errors;
    all.meta_errors += c.meta_errors;
  }
  return all;
}

}  // namespace lockstep::sim
