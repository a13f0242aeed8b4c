#include "sim/runner.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "base/check.h"
#include "sim/world.h"

namespace lockstep::sim {
namespace {

struct CheckFailure {
  std::string what;
};

// Leaves the core by an exception: the world of this seed is thrown away, the next seed goes on.
[[noreturn]] void on_check(const char* file, int line, const char* what) {
  throw CheckFailure{fmt::format("{}:{}: CHECK({})", file, line, what)};
}

}  // namespace

SeedResult run_seed(uint64_t seed, TraceDetail trace, const PlanWish& wish, RecordingSink recordings) {
  return run_plan(plan_for(seed, wish), trace, std::move(recordings));
}

SeedResult run_plan(const Plan& plan, TraceDetail trace, RecordingSink recordings) {
  static const bool hooked = [] {
    set_check_hook(&on_check);
    return true;
  }();
  static_cast<void>(hooked);
  SeedResult result;
  result.seed = plan.seed;
  World world(plan, trace, std::move(recordings));
  try {
    world.run();
  } catch (const CheckFailure& failure) {
    world.oracle().fail("CHECK", failure.what);
  } catch (const std::exception& error) {
    world.oracle().fail("exception", error.what());
  }
  result.violations = world.oracle().violations();
  result.coverage = world.collect_coverage();
  result.hash = world.trace().hash();
  result.steps = world.queue().steps();
  result.faults_drawn = world.injector().drawn();
  result.length = world.queue().now() - Instant{0};
  return result;
}

}  // namespace lockstep::sim
