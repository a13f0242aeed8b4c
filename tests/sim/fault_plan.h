// From a seed to what will go wrong: the shape of the cluster, which classes of faults, how often, how long.
#pragma once

#include <cstdint>
#include <vector>

#include "core/config.h"
#include "sim/coverage.h"
#include "sim/manager.h"
#include "sim/prng.h"
#include "sim/sim_net.h"
#include "sim/workload.h"

namespace lockstep::sim {

// What is wrong before the resource is created.
enum class Start : uint8_t { smooth, unequal_disks, earlier_life };

struct Plan {
  uint64_t seed = 0;
  int data_nodes = 2;
  int witnesses = 1;
  uint64_t extents = 10;
  Duration active = seconds(40);  // faults come this long; then everything is healed
  Duration fault_gap_least = milliseconds(300);
  Duration fault_gap_most = milliseconds(5000);
  std::vector<Fault> faults;  // classes, some twice: their weight
  // The draws (counted from 0) that are carried out unless it is every one. Each has its own randomness, so that leaving one out changes no
  // other.
  bool every_fault = true;
  std::vector<uint32_t> only;
  Start start = Start::smooth;
  bool late_node = false;       // the last data node is in no configuration but its own, until an operator adds it
  bool unattended = false;      // when everything is healed, nobody is promoted until the copies are equal
  SeatSet asynchronous;         // under protocol A or B with every other node (core has by_receipt for which of the two)
  VolumeShapes volumes;         // of every disk, where there are several
  SeatSet digests_at_rest;      // the nodes whose disks keep them
  bool volatile_cache = false;  // with blackouts that lose what was not flushed
  WorkloadShape workload;
  ManagerShape manager;
  NetBehaviour net;
  DiskBehaviour disk;
  CoreConfig core;  // without `self`
};

// What is not left to the seed.
struct PlanWish {
  int data_nodes = 0;           // 0: the seed decides
  bool volatile_cache = false;  // true: certainly
  bool forced_history = false;  // true: certainly
  bool followers = false;       // true: certainly
};
Plan plan_for(uint64_t seed, const PlanWish& wish);
inline Plan plan_for(uint64_t seed) { return plan_for(seed, PlanWish{}); }
// No faults and no clients: for scenarios.
Plan quiet_plan(uint64_t seed, int witnesses, int data_nodes = 2);

}  // namespace lockstep::sim
