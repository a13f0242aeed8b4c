// The machine's clock as an Instant: CLOCK_BOOTTIME, which goes on while the machine is suspended and never
// jumps.
#pragma once

#include "base/time.h"

namespace lockstep {

Instant boot_time_now();

}  // namespace lockstep
