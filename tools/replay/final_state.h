// What a Replica shows of itself, in words: the end of a replay.
#pragma once

#include <string>

#include "core/replica.h"

namespace lockstep::replay {

std::string final_state(const Replica& replica, Instant now);

}  // namespace lockstep::replay
