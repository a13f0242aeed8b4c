// Runs every mutant until the checker of its promise notices it, or its seeds are used up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/mutants.h"

namespace lockstep::sim {

// Prints a line a mutant, and how many of how many were killed. `only`: this one alone; empty: all. True if none survived.
bool run_mutants(uint64_t first_seed, uint64_t most_seeds, unsigned threads, const std::string& only);

std::optional<Mutant> mutant_named(std::string_view name);

}  // namespace lockstep::sim
