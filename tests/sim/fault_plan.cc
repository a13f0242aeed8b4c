#include "sim/fault_plan.h"

#include <algorithm>

namespace lockstep::sim {
namespace {

CoreConfig core_config(int data_nodes, int witnesses) {
  CoreConfig config;
  for (uint8_t i = 0; i < data_nodes; ++i) config.data_nodes.insert(Seat{i});
  for (uint8_t i = 0; i < witnesses; ++i) config.witnesses.insert(witness_seat(i));
  return config;
}

void draw_core(Prng& prng, CoreConfig& config) {
  config.lease = milliseconds(prng.between(800, 4000));
  config.promote_patience = config.lease * 2 + seconds(2);
  config.settle_interval = milliseconds(prng.between(50, 800));
  constexpr uint32_t kHot[] = {4, 8, 256};
  config.max_hot_extents = kHot[prng.below(3)];
  constexpr uint64_t kChunks[] = {16 * 1024, 64 * 1024, 256 * 1024};
  config.resync_chunk_bytes = kChunks[prng.below(3)];
  config.resync_window = static_cast<uint32_t>(prng.between(1, 8));
  config.resync_flush_blocks = prng.chance(50) ? 32 : 4096;
  config.fail_on_no_quorum = prng.chance(15);
}

// Each class is in or out as a whole: runs with few classes go deeper into one.
void draw_faults(Prng& prng, Plan& plan, bool volatile_cache) {
  constexpr Fault kClasses[] = {Fault::process_kill, Fault::power_loss, Fault::blackout,    Fault::pause,      Fault::cut,
                                Fault::one_way_cut,  Fault::reset,      Fault::flapping,    Fault::slow_disk,  Fault::data_error,
                                Fault::meta_error,   Fault::clean_stop, Fault::switch_over, Fault::invalidate, Fault::switch_over,
                                Fault::rival,        Fault::usurp,      Fault::usurp};
  const int density = static_cast<int>(prng.between(25, 75));
  for (Fault fault : kClasses) {
    if (!prng.chance(density)) continue;
    plan.faults.push_back(fault);
    if (prng.chance(30)) plan.faults.push_back(fault);
  }
  if (plan.witnesses > 0) {
    if (prng.chance(density)) plan.faults.push_back(Fault::witness_kill);
    if (prng.chance(density / 2)) plan.faults.push_back(Fault::witness_wiped);
    if (prng.chance(density / 2)) plan.faults.push_back(Fault::node_wiped);
    if (prng.chance(density / 3)) plan.faults.push_back(Fault::node_restored);
    if (prng.chance(density / 3)) plan.faults.push_back(Fault::witness_restored);
  }
  const bool drawn = prng.chance(24);
  if (drawn || volatile_cache) {
    plan.volatile_cache = true;
    std::replace(plan.faults.begin(), plan.faults.end(), Fault::power_loss, Fault::volatile_power_loss);
    plan.faults.push_back(Fault::volatile_power_loss);
    std::replace(plan.faults.begin(), plan.faults.end(), Fault::blackout, Fault::volatile_blackout);
    plan.faults.push_back(Fault::volatile_blackout);
  }
  if (prng.chance(density / 2)) plan.faults.push_back(Fault::forced_history);
  if (prng.chance(density / 2)) plan.faults.push_back(Fault::disconnect);
  if (prng.chance(density / 2)) plan.faults.push_back(Fault::metadata_rot);
  if (prng.chance(density / 2)) plan.faults.push_back(Fault::misfit);
  if (prng.chance(density / 2)) plan.faults.push_back(Fault::blunder);
  if (plan.faults.empty()) plan.faults.push_back(Fault::process_kill);
}

void draw_start(Prng& prng, Plan& plan) {
  if (!prng.chance(8)) return;
  const bool unequal = prng.chance(50) || plan.witnesses == 0;
  plan.start = unequal ? Start::unequal_disks : Start::earlier_life;
  plan.manager.hasty = prng.chance(50);
}

// How copies are resynced and compared, and operators who meddle with that.
void draw_copying(Prng& prng, Plan& plan) {
  plan.core.resync_digests = prng.chance(40);
  constexpr uint64_t kLeast[] = {1 << 20, 4 << 20, 64 << 20};
  plan.core.resync_min_rate = kLeast[prng.below(3)];
  if (prng.chance(30)) plan.core.max_failed_reads = static_cast<uint32_t>(prng.below(4));
  if (prng.chance(25)) plan.core.disk_timeout = seconds(1);
  plan.core.metadata_on_disk = prng.chance(50);
  if (prng.chance(15)) plan.core.resync_max_rate = uint64_t{8} << 20;
  if (prng.chance(25)) plan.faults.push_back(Fault::pause_sync);
  if (prng.chance(35)) plan.faults.push_back(Fault::verify);
}

// Handlers and comparisons by the clock. Of dice of their own: what else a seed draws stays what it was.
void draw_watchers(uint64_t seed, Plan& plan) {
  Prng prng(seed ^ 0x9e3779b97f4a7c15);
  plan.core.hold_resync = prng.chance(12);
  if (prng.chance(15)) plan.core.verify_interval = prng.between(seconds(2), seconds(9));
  if (prng.chance(12)) plan.faults.push_back(Fault::suspend_io);
  constexpr ReadBalancing kBalancing[] = {ReadBalancing::prefer_local, ReadBalancing::round_robin, ReadBalancing::least_pending};
  plan.core.read_balancing = kBalancing[prng.below(3)];
  if (prng.chance(20)) plan.core.recent_writes = static_cast<uint32_t>(prng.between(1, 12));
}

// Not where a volume is created a second time.
void draw_growth(uint64_t seed, Plan& plan) {
  Prng prng(seed ^ 0x517cc1b727220a95);
  if (plan.start != Start::smooth || !prng.chance(20)) return;
  plan.manager.volume_bytes = (plan.extents - prng.between(1, 4)) * kExtentBytes - prng.below(2) * 5 * kBlockBytes;
  plan.faults.insert(plan.faults.end(), 2, Fault::grow);
  if (Prng(seed ^ 0x6a09e667f3bcc909).chance(60)) plan.faults.insert(plan.faults.end(), 2, Fault::shrink);
}

// In place of one that grows. A volume may end within an extent: what follows it there belongs to nobody.
void draw_volumes(uint64_t seed, Plan& plan) {
  Prng prng(seed ^ 0x2545f4914f6cdd1d);
  if (plan.manager.volume_bytes > 0 || !prng.chance(20)) return;
  const uint64_t count = 2 + prng.below(2);
  uint64_t extents = plan.extents;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t left = count - i - 1;
    const uint64_t mine = left == 0 ? extents : 1 + prng.below(extents - left);
    const uint64_t unused = left == 0 ? 0 : prng.below(3) * kBlocksPerExtent / 3;
    plan.volumes.push_back({static_cast<uint16_t>(i * 3), mine * kExtentBytes - unused * kBlockBytes});
    extents -= mine;
  }
}

// With few extents a whole map would be marked at once, and nothing would be learnt of what is marked on the way.
void draw_pipeline(uint64_t seed, Plan& plan) {
  Prng prng(seed ^ 0x9fb21c651e98df25);
  constexpr uint32_t kAhead[] = {0, 1, 2, 5, kMostAhead};
  plan.core.resync_ahead = kAhead[prng.below(5)];
  plan.core.resync_by_age = Prng(seed ^ 0xbb67ae8584caa73b).chance(35);
  plan.core.resync_flush_interval = prng.chance(60) ? Duration{} : milliseconds(prng.between(50, 2000));
}

// No rot where histories are forced: what an operator gives up may be the only good copy of a block.
void draw_digests(uint64_t seed, Plan& plan) {
  Prng prng(seed ^ 0xd6e8feb86659fd93);
  if (!prng.chance(35)) return;
  for (uint8_t i = 0; i < plan.data_nodes; ++i) {
    if (prng.chance(75)) plan.digests_at_rest.insert(Seat{i});
  }
  if (plan.digests_at_rest.empty()) return;
  const bool forced = std::find(plan.faults.begin(), plan.faults.end(), Fault::forced_history) != plan.faults.end();
  if (!forced) plan.faults.insert(plan.faults.end(), static_cast<size_t>(prng.between(1, 6)), Fault::rot);
  if (prng.chance(50)) plan.faults.insert(plan.faults.end(), 2, Fault::verify);
  if (prng.chance(50)) plan.core.max_hot_extents = static_cast<uint32_t>(prng.between(1, 5));
}

// Operators who take disks away, and handlers that ask a node to declare itself Outdated.
void draw_standing_aside(uint64_t seed, Plan& plan) {
  Prng prng(seed ^ 0xa0761d6478bd642f);
  if (prng.chance(25)) plan.faults.insert(plan.faults.end(), static_cast<size_t>(prng.between(1, 5)), Fault::detach);
  if (plan.core.fence_handler && prng.chance(80)) plan.manager.outdates = static_cast<int>(prng.between(30, 95));
}

// Nodes come and go.
void draw_change_of_nodes(uint64_t seed, Plan& plan) {
  Prng prng(seed ^ 0x2545f4914f6cdd1d);
  const bool forced = std::find(plan.faults.begin(), plan.faults.end(), Fault::forced_history) != plan.faults.end();
  if (plan.data_nodes != 3 || plan.start != Start::smooth || !prng.chance(45)) return;
  plan.faults.insert(plan.faults.end(), static_cast<size_t>(prng.between(1, 6)), Fault::change_nodes);
  plan.late_node = !forced && prng.chance(50);
  if (plan.late_node) plan.manager.founders = 2;
}

// Protocols A and B, with little room where congestion is to be seen.
void draw_followers(uint64_t seed, Plan& plan, bool certainly) {
  Prng prng(seed ^ 0x8ebc6af09c88c6e3);
  if (!prng.chance(20) && !certainly) return;
  plan.asynchronous.insert(Seat{static_cast<uint8_t>(prng.below(static_cast<uint64_t>(plan.data_nodes)))});
  if (prng.chance(40)) plan.core.by_receipt = plan.core.data_nodes;
  constexpr OnCongestion kPolicies[] = {OnCongestion::block, OnCongestion::block, OnCongestion::pull_ahead,
                                        OnCongestion::pull_ahead, OnCongestion::disconnect};
  plan.core.on_congestion = kPolicies[prng.below(5)];
  constexpr uint64_t kRoom[] = {8 * 1024, 32 * 1024, 128 * 1024, 32 * 1024 * 1024};
  plan.core.congestion_bytes = kRoom[prng.below(4)];
}

}  // namespace

Plan plan_for(uint64_t seed, const PlanWish& wish) {
  Prng prng(seed);
  Plan plan;
  plan.seed = seed;
  plan.witnesses = prng.chance(85) ? prng.chance(12) ? 2 : 1 : 0;
  if (wish.volatile_cache) plan.witnesses = 1;
  plan.data_nodes = prng.chance(30) ? 3 : 2;
  if (wish.data_nodes != 0) plan.data_nodes = wish.data_nodes;
  plan.core = core_config(plan.data_nodes, plan.witnesses);
  draw_core(prng, plan.core);
  if ((plan.witnesses == 0 || prng.chance(22)) && !wish.volatile_cache) {
    plan.core.fence_handler = true;
    plan.core.fencing = FencingPolicy::resource_and_stonith;
  }
  plan.active = seconds(prng.between(10, 34));
  plan.fault_gap_least = milliseconds(100);
  plan.fault_gap_most = milliseconds(prng.between(800, 5000));
  plan.workload.clients = static_cast<int>(prng.between(1, 6));
  plan.workload.think_slowest = milliseconds(prng.between(40, 140));
  if (prng.chance(15)) plan.disk.slowest = milliseconds(20);
  if (prng.chance(15)) plan.net.slowest = milliseconds(15);
  if (prng.chance(20)) plan.net.stall_permille = static_cast<int>(prng.between(1, 20));
  if (prng.chance(25)) plan.workload.flushes = 0;
  if (plan.core.fence_handler && prng.chance(70)) plan.core.witness_timeout = milliseconds(prng.between(500, 5000));
  draw_faults(prng, plan, wish.volatile_cache);
  if (wish.forced_history) plan.faults.insert(plan.faults.end(), 2, Fault::forced_history);
  plan.unattended = prng.chance(30);
  plan.core.caretaker_delay = milliseconds(prng.between(300, 8000));
  const Duration focus = milliseconds(prng.between(700, 8000));
  if (prng.chance(40) || wish.forced_history) plan.workload.focus = focus;
  draw_start(prng, plan);
  draw_copying(prng, plan);
  draw_watchers(seed, plan);
  draw_growth(seed, plan);
  draw_volumes(seed, plan);
  draw_pipeline(seed, plan);
  draw_change_of_nodes(seed, plan);
  draw_digests(seed, plan);
  draw_standing_aside(seed, plan);
  draw_followers(seed, plan, wish.followers);
  return plan;
}

Plan quiet_plan(uint64_t seed, int witnesses, int data_nodes) {
  Plan plan;
  plan.seed = seed;
  plan.data_nodes = data_nodes;
  plan.witnesses = witnesses;
  plan.core = core_config(plan.data_nodes, witnesses);
  plan.workload.clients = 0;
  plan.workload.readers = 0;
  return plan;
}

}  // namespace lockstep::sim
