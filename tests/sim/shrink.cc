#include "sim/shrink.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace lockstep::sim {
namespace {

using Indices = std::vector<uint32_t>;

class Shrinker {
 public:
  Shrinker(const Plan& plan, std::string promise) : promise_(std::move(promise)) { shrunk_.plan = plan; }

  Shrunk run() {
    const SeedResult first = run_plan(shrunk_.plan, TraceDetail::none);
    shrunk_.faults_before = first.faults_drawn;
    Indices all(first.faults_drawn);
    std::iota(all.begin(), all.end(), 0U);
    shrunk_.plan.every_fault = false;
    shrunk_.plan.only = all;
    fewer_faults();
    if (simplify()) fewer_faults();
    return shrunk_;
  }

 private:
  bool fails(const Plan& plan) {
    ++shrunk_.runs;
    const SeedResult result = run_plan(plan, TraceDetail::none);
    return std::any_of(result.violations.begin(), result.violations.end(),
                       [this](const Violation& v) { return v.promise == promise_; });
  }

  // Takes away ever smaller pieces of the list while it goes on failing.
  void fewer_faults() {
    size_t pieces = 2;
    while (!shrunk_.plan.only.empty()) {
      const Indices now = shrunk_.plan.only;
      pieces = std::min(pieces, now.size());
      bool smaller = false;
      for (size_t piece = 0; piece < pieces && !smaller; ++piece) smaller = without(now, piece, pieces);
      if (smaller) {
        pieces = std::max<size_t>(pieces - 1, 2);
      } else if (pieces == now.size()) {
        return;
      } else {
        pieces *= 2;
      }
    }
  }

  bool without(const Indices& all, size_t piece, size_t pieces) {
    const size_t begin = all.size() * piece / pieces, end = all.size() * (piece + 1) / pieces;
    Indices rest(all.begin(), all.begin() + static_cast<ptrdiff_t>(begin));
    rest.insert(rest.end(), all.begin() + static_cast<ptrdiff_t>(end), all.end());
    Plan candidate = shrunk_.plan;
    candidate.only = std::move(rest);
    if (!fails(candidate)) return false;
    shrunk_.plan = candidate;
    return true;
  }

  // Everything that makes a run harder to read, one after the other.
  bool simplify() {
    // Each says whether there was anything to take away.
    struct Step {
      std::string_view what;
      std::function<bool(Plan&)> apply;
    };
    const auto set = [](auto& setting, auto value) { return std::exchange(setting, value) != value; };
    const std::vector<Step> steps = {
        {"no stalls in the network", [&](Plan& p) { return set(p.net.stall_permille, 0); }},
        {"a fast network", [&](Plan& p) { return set(p.net.slowest, NetBehaviour{}.slowest); }},
        {"fast disks", [&](Plan& p) { return set(p.disk.slowest, DiskBehaviour{}.slowest); }},
        {"no readers", [&](Plan& p) { return set(p.workload.readers, 0); }},
        {"one client", [&](Plan& p) { return set(p.workload.clients, 1); }},
        {"two clients", [&](Plan& p) { return set(p.workload.clients, std::min(p.workload.clients, 2)); }},
        {"no trims", [&](Plan& p) { return set(p.workload.trims, 0); }},
        {"no zeroes", [&](Plan& p) { return set(p.workload.zeroes, 0); }},
        {"no flushes", [&](Plan& p) { return set(p.workload.flushes, 0); }},
        {"no FUA", [&](Plan& p) { return set(p.workload.fua, 0); }},
        {"half the time", [&](Plan& p) { return set(p.active, p.active / 2); }},
        {"half the time again", [&](Plan& p) { return set(p.active, p.active / 2); }},
    };
    const size_t before = shrunk_.simplified.size();
    for (const Step& step : steps) {
      Plan candidate = shrunk_.plan;
      if (!step.apply(candidate) || !fails(candidate)) continue;
      shrunk_.plan = candidate;
      shrunk_.simplified.emplace_back(step.what);
    }
    return shrunk_.simplified.size() > before;
  }

  std::string promise_;
  Shrunk shrunk_;
};

}  // namespace

Shrunk shrink(const Plan& plan, const std::string& promise) { return Shrinker(plan, promise).run(); }

bool shrink_and_tell(const Plan& plan, TraceDetail detail) {
  const SeedResult result = run_plan(plan, TraceDetail::none);
  if (result.violations.empty()) return false;
  const std::string promise = result.violations.front().promise;
  const Shrunk least = shrink(plan, promise);
  const SeedResult told = run_plan(least.plan, detail);
  std::string faults, simplified;
  for (uint32_t index : least.plan.only) faults += fmt::format(" {}", index);
  for (const std::string& step : least.simplified) simplified += (simplified.empty() ? "" : ", ") + step;
  fmt::print("seed {}: {} broken: {}\n", plan.seed, promise, told.violations.front().what);
  fmt::print("faults {} -> {}:{}; {} runs; also {}\n", least.faults_before, least.plan.only.size(),
             faults.empty() ? " none" : faults, least.runs, simplified.empty() ? "nothing else" : simplified);
  return true;
}

}  // namespace lockstep::sim
