#include "shell/loop/clock.h"

#include <time.h>

#include "base/check.h"

namespace lockstep {

Instant boot_time_now() {
  timespec at{};
  CHECK(clock_gettime(CLOCK_BOOTTIME, &at) == 0);
  return {static_cast<int64_t>(at.tv_sec) * 1'000'000'000 + at.tv_nsec};
}

}  // namespace lockstep
