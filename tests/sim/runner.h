// One seed from start to verdict.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/coverage.h"
#include "sim/fault_plan.h"
#include "sim/oracle.h"
#include "sim/recordings.h"
#include "sim/trace.h"

namespace lockstep::sim {

struct SeedResult {
  uint64_t seed = 0;
  std::vector<Violation> violations;
  Coverage coverage;
  uint64_t hash = 0;
  uint64_t steps = 0;
  uint32_t faults_drawn = 0;  // how often the injector drew one, whether it was carried out or left out by the plan
  Duration length;            // virtual time
};

// A failed CHECK inside is a violation of this seed, not the end of the program.
SeedResult run_seed(uint64_t seed, TraceDetail trace, const PlanWish& wish = {}, RecordingSink recordings = {});
SeedResult run_plan(const Plan& plan, TraceDetail trace, RecordingSink recordings = {});

}  // namespace lockstep::sim
