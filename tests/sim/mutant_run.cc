#include "sim/mutant_run.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "sim/mutants.h"
#include "sim/runner.h"

namespace lockstep::sim {
namespace {

enum class Setting : uint8_t { any, volatile_caches, three_nodes, forced, followers, story };

struct Row {
  Mutant mutant;
  std::string_view promise;
  std::string_view name;
  Setting setting;
  std::string_view text;
};

constexpr auto kRows = std::to_array<Row>({
#define LOCKSTEP_MUTANT_ROW(promise, name, setting, text) {Mutant::name, #promise, #name, Setting::setting, text},
    LOCKSTEP_MUTANTS(LOCKSTEP_MUTANT_ROW)
#undef LOCKSTEP_MUTANT_ROW
});

// Where the broken rule matters at all.
Plan plan_in(Setting setting, uint64_t seed) {
  PlanWish wish;
  wish.volatile_cache = setting == Setting::volatile_caches;
  wish.forced_history = setting == Setting::forced;
  wish.followers = setting == Setting::followers;
  if (setting == Setting::three_nodes) wish.data_nodes = 3;
  return plan_for(seed, wish);
}

struct Hunt {
  std::mutex lock;
  std::atomic<uint64_t> next{0};
  std::atomic<bool> over{false};
  uint64_t seeds = 0;  // run so far
  uint64_t killed_by_seed = 0;
  std::string last_words;  // of the checker that noticed
  std::string others;      // what other checkers said, at most a little
};

void hunt(const Row& row, uint64_t first, uint64_t most, Hunt& hunt) {
  active_mutant = row.mutant;
  while (!hunt.over) {
    const uint64_t i = hunt.next.fetch_add(1);
    if (i >= most) break;
    const SeedResult result = run_plan(plan_in(row.setting, first + i), TraceDetail::none);
    const std::lock_guard guard(hunt.lock);
    ++hunt.seeds;
    for (const Violation& v : result.violations) {
      if (v.promise == row.promise) {
        hunt.over = true;
        hunt.killed_by_seed = result.seed;
        hunt.last_words = v.what;
      } else if (hunt.others.size() < 12) {
        hunt.others += " " + v.promise;
      }
    }
  }
  active_mutant = Mutant::none;
}

bool killed(const Row& row, uint64_t first, uint64_t most, unsigned threads) {
  Hunt state;
  std::vector<std::thread> helpers;
  for (unsigned t = 1; t < threads; ++t) helpers.emplace_back([&] { hunt(row, first, most, state); });
  hunt(row, first, most, state);
  for (std::thread& helper : helpers) helper.join();
  if (state.over) {
    fmt::print("{:<4} {:<30} killed after {:>4} seeds, by {}: {:.90}\n", row.promise, row.name, state.seeds, state.killed_by_seed,
               state.last_words);
  } else {
    fmt::print("{:<4} {:<30} SURVIVED {} seeds{}{}: {}\n", row.promise, row.name, state.seeds,
               state.others.empty() ? "" : ", noticed only as", state.others, row.text);
  }
  std::fflush(stdout);
  return state.over;
}

}  // namespace

std::optional<Mutant> mutant_named(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.mutant;
  }
  return std::nullopt;
}

bool run_mutants(uint64_t first_seed, uint64_t most_seeds, unsigned threads, const std::string& only) {
  size_t dead = 0, tried = 0;
  for (const Row& row : kRows) {
    if (!only.empty() && row.name != only) continue;
    if (only.empty() && row.setting == Setting::story) {
      fmt::print("{:<4} {:<30} too rare for seeds: a story notices it (tests/scenario)\n", row.promise, row.name);
      continue;
    }
    ++tried;
    dead += killed(row, first_seed, most_seeds, threads) ? 1 : 0;
  }
  fmt::print("mutants {} killed {} survived {}\n", tried, dead, tried - dead);
  return tried > 0 && dead == tried;
}

}  // namespace lockstep::sim
