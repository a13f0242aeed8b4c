// Virtual time: actions ordered by (time, order of insertion). Instants here are those of the world's own
// clock, which no node can see; SimClock gives a node its own.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/time.h"

namespace lockstep::sim {

class EventQueue {
 public:
  using Action = std::function<void()>;

  Instant now() const { return now_; }
  uint64_t steps() const { return steps_; }
  void at(Instant when, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  // Runs the next action due at or before `until`; false (and now() == until) when there is none.
  bool run_one(Instant until);
  void run_until(Instant until) {
    while (run_one(until)) {
    }
  }

 private:
  struct Entry {
    Instant when;
    uint64_t order = 0;
    Action action;
  };
  static bool later(const Entry& a, const Entry& b) { return a.when != b.when ? a.when > b.when : a.order > b.order; }

  std::vector<Entry> heap_;
  Instant now_{0};
  uint64_t order_ = 0;
  uint64_t steps_ = 0;
};

// A node's CLOCK_BOOTTIME: an offset and a constant rate error. Two clocks with rates within +-22 per mille
// differ by less than the 50 per mille that CoreConfig::lease_drift_permille allows for.
class SimClock {
 public:
  SimClock() = default;
  SimClock(Instant started, Instant shows, int drift_permille)
      : started_(started), shows_(shows), drift_permille_(drift_permille) {}

  Instant local(Instant world) const {
    const int64_t passed = (world - started_).ns;
    return shows_ + Duration{passed + passed / 1000 * drift_permille_};
  }
  // The first world instant at which local() is at or after `local_time`.
  Instant world(Instant local_time) const {
    if (local_time == kNever) return kNever;
    int64_t passed = static_cast<int64_t>(static_cast<double>((local_time - shows_).ns) * 1000.0 / (1000 + drift_permille_));
    passed -= 2000;
    while (local(started_ + Duration{passed}) < local_time) passed += 1000;
    return started_ + Duration{passed};
  }

 private:
  Instant started_{0};
  Instant shows_{0};
  int drift_permille_ = 0;
};

}  // namespace lockstep::sim
