// From a seed that fails to the least that still fails in the same way: fewer faults first (delta debugging: Zeller and Hildebrandt,
// "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002), then fewer clients, a calmer network, a shorter run.
#pragma once

#include <string>
#include <vector>

#include "sim/fault_plan.h"
#include "sim/runner.h"

namespace lockstep::sim {

struct Shrunk {
  Plan plan;  // with what is left of the faults in `only`
  uint32_t faults_before = 0;
  uint32_t runs = 0;
  std::vector<std::string> simplified;  // what could be taken away besides faults
};

// `plan` must break `promise`; so does what is given.
Shrunk shrink(const Plan& plan, const std::string& promise);

// Shrinks the first violation of a seed and tells the story of what is left. False: the seed breaks nothing.
bool shrink_and_tell(const Plan& plan, TraceDetail detail);

}  // namespace lockstep::sim
