// The recordings of one resource on one node: the one that is made, and those of earlier runs, which are what is wanted after an
// incident. FILE, FILE.1 (the run before), FILE.2, ...
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace lockstep {

// Makes the directory if it is missing, and room for a new FILE: what is there is moved on, and the oldest are removed until no more
// than `most_bytes` are left; the one that was FILE stays in any case.
Result<void> put_away_recordings(const std::string& directory, const std::string& name, uint64_t most_bytes);

}  // namespace lockstep
