// lockstep-sim: runs seeds, each a whole cluster with faults on virtual time, and reports every broken
// promise.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <boost/program_options.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "sim/mutant_run.h"
#include "sim/runner.h"
#include "sim/shrink.h"
#include "tools/command_line.h"

namespace po = boost::program_options;

namespace lockstep::sim {
namespace {

constexpr uint64_t kEnoughSeeds = 2000;  // fewer cannot reach everything

struct Options {
  uint64_t first_seed = 1;
  uint64_t seeds = 1000;
  uint64_t seconds = 0;  // 0: no limit
  unsigned threads = 1;
  bool trace = false;
  bool shrink = false;
  bool mutants = false;
  bool require_coverage = false;
  PlanWish wish;
  std::string mutant;
  std::string record;  // directory
};

struct Total {
  std::mutex lock;
  Coverage coverage;
  uint64_t violations = 0;
  std::vector<uint64_t> ops, faults, promotions;
};

void report(const SeedResult& result) {
  for (const Violation& v : result.violations) {
    fmt::print("seed {}: {} broken at {:.6f} s (step {}): {}\n", result.seed, v.promise, static_cast<double>(v.when.ns) / 1e9,
               result.steps, v.what);
  }
  std::fflush(stdout);
}

// Wall time: the only clock here, and no seed sees it.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

void work(const Options& options, const Stopwatch& watch, std::atomic<uint64_t>& next, Total& total) {
  for (;;) {
    if (options.seconds > 0 && watch.seconds() >= static_cast<double>(options.seconds)) return;
    const uint64_t i = next.fetch_add(1);
    if (i >= options.seeds) return;
    SeedResult result =
        run_seed(options.first_seed + i, options.trace ? TraceDetail::all : TraceDetail::none, options.wish,
                 options.record.empty() ? RecordingSink() : write_recordings(options.record, options.first_seed + i));
    // One seed in a hundred runs twice: the same seed must give the same run.
    if (i % 100 == 0 && !options.trace && run_seed(options.first_seed + i, TraceDetail::none, options.wish).hash != result.hash) {
      result.violations.push_back({"determinism", Instant{0}, "two runs of this seed differ"});
    }
    const std::lock_guard guard(total.lock);
    report(result);
    total.violations += result.violations.empty() ? 0 : 1;
    total.coverage.add(result.coverage);
    total.ops.push_back(result.coverage.client_ops);
    total.faults.push_back(result.coverage.fault_count());
    total.promotions.push_back(result.coverage.promotions);
  }
}

uint64_t median(std::vector<uint64_t> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(const Options& options) {
  std::atomic<uint64_t> next{0};
  Total total;
  const Stopwatch watch;
  std::vector<std::thread> threads;
  for (unsigned t = 1; t < options.threads; ++t) threads.emplace_back([&] { work(options, watch, next, total); });
  work(options, watch, next, total);
  for (std::thread& thread : threads) thread.join();

  const uint64_t ran = total.ops.size();
  const int missing = total.coverage.print(ran >= kEnoughSeeds);
  const uint64_t ops = median(total.ops), faults = median(total.faults), promotions = median(total.promotions);
  fmt::print("median of a seed: {} client operations, {} faults, {} promotions\n", ops, faults, promotions);
  if (ran >= kEnoughSeeds && (missing > 0 || ops < 1000 || faults < 5 || promotions < 1)) {
    fmt::print("coverage: too little\n");
    if (options.require_coverage) ++total.violations;
  } else if (ran < kEnoughSeeds && options.require_coverage) {  // the time was up
    fmt::print("coverage: {} seeds ran, and it takes {} to require it\n", ran, kEnoughSeeds);
    ++total.violations;
  }
  fmt::print("from {}, {:.1f} seeds a second\n", options.first_seed, static_cast<double>(ran) / watch.seconds());
  fmt::print("seeds {} violations {}\n", ran, total.violations);
  return total.violations == 0 ? 0 : 1;
}

// With --mutant: of the core with that rule broken.
int run_shrinking(const Options& options) {
  uint64_t failed = 0;
  if (!options.mutant.empty()) active_mutant = *mutant_named(options.mutant);
  for (uint64_t i = 0; i < options.seeds; ++i) {
    const Plan plan = plan_for(options.first_seed + i, options.wish);
    if (!shrink_and_tell(plan, options.trace ? TraceDetail::all : TraceDetail::story)) continue;
    ++failed;
    if (!options.mutant.empty()) break;  // one is enough
  }
  fmt::print("seeds {} violations {}\n", options.seeds, failed);
  return failed == 0 ? 0 : 1;
}

// What cannot be asked for at once, as one of the two would be passed over.
constexpr std::pair<const char*, const char*> kApart[] = {
    {"mutants", "shrink"},  {"mutants", "trace"},      {"mutants", "record"},           {"mutants", "require-coverage"},
    {"mutants", "seconds"}, {"mutants", "data-nodes"}, {"mutants", "forced-histories"}, {"mutants", "followers"},
    {"shrink", "record"},   {"shrink", "seconds"},     {"shrink", "require-coverage"},
};

// By trying, as only the file system knows. A run that has begun would go on without its recordings.
void check_record_directory(const std::string& directory) {
  std::string probe = directory + "/lockstep-sim-XXXXXX";
  if (::mkdtemp(probe.data()) == nullptr)
    throw po::error(fmt::format("--record {}: nothing can be written there: {}; name a directory that exists", directory,
                                std::strerror(errno)));
  ::rmdir(probe.c_str());
}

void check_options(const po::variables_map& given, const Options& options) {
  for (const auto& [one, other] : kApart) {
    if (asked_for(given, one) && asked_for(given, other))
      throw po::error(fmt::format("--{} and --{} do not go together: leave one of them out", one, other));
  }
  if (asked_for(given, "mutant")) {
    if (!mutant_named(options.mutant))
      throw po::error(fmt::format("--mutant {}: there is none; tests/sim/mutants.h has their names", options.mutant));
    if (!options.mutants && !options.shrink)
      throw po::error("--mutant NAME goes with --mutants or --shrink: give one of them too");
  }
  if (options.require_coverage && options.seeds < kEnoughSeeds)
    throw po::error(fmt::format("--require-coverage with {} seeds: it takes --seeds {} or more to reach everything",
                                options.seeds, kEnoughSeeds));
  if (asked_for(given, "record")) check_record_directory(options.record);
}

po::options_description describe_options(Options& options) {
  po::options_description description("lockstep-sim: the whole cluster on virtual time");
  auto add = description.add_options();
  add("help", "this text");
  add("first-seed", number<uint64_t>("first-seed", options.first_seed, 0)->default_value("1"), "first seed (64 bit)");
  add("seeds", number<uint64_t>("seeds", options.seeds, 1)->default_value("1000"), "how many");
  add("seconds", number<uint64_t>("seconds", options.seconds, 1), "begin no further seed after so many");
  add("threads", number("threads", options.threads, 1U, 1024U), "default: as many as processors");
  add("trace", po::bool_switch(&options.trace), "print every event and effect");
  add("shrink", po::bool_switch(&options.shrink),
      "take away from each seed that fails what it does not need, and tell what is left");
  add("require-coverage", po::bool_switch(&options.require_coverage),
      "what was never reached is a violation (of 2000 seeds or more)");
  add("data-nodes", number("data-nodes", options.wish.data_nodes, 2, 3), "2 or 3; default: as the seed says");
  add("forced-histories", po::bool_switch(&options.wish.forced_history), "an operator forces in every seed");
  add("followers", po::bool_switch(&options.wish.followers), "protocol A or B in every seed");
  add("record", po::value(&options.record), "write a recording of each run of each node into this directory (lockstep-replay)");
  add("mutants", po::bool_switch(&options.mutants),
      "break one rule at a time; each must be noticed within `seeds` seeds by its promise's checker");
  add("mutant", po::value(&options.mutant), "with --mutants or --shrink: only this one");
  return description;
}

int run_as_asked(Options options) {
  if (options.mutants) return run_mutants(options.first_seed, options.seeds, options.threads, options.mutant) ? 0 : 1;
  if (options.shrink) return run_shrinking(options);
  if (options.trace) options.threads = 1;
  return run(options);
}

}  // namespace
}  // namespace lockstep::sim

int main(int argc, char** argv) {
  lockstep::sim::Options options;
  options.threads = std::max(1U, std::thread::hardware_concurrency());
  const po::options_description description = lockstep::sim::describe_options(options);
  try {
    const po::variables_map given = lockstep::read_command_line(argc, argv, description);
    if (given.count("help") != 0) {
      std::cout << description;
      return 0;
    }
    lockstep::sim::check_options(given, options);
  } catch (const po::error& error) {
    std::cerr << "lockstep-sim: " << error.what() << "; see lockstep-sim --help\n";
    return 2;
  }
  return lockstep::sim::run_as_asked(options);
}
