// The timers of one loop: an indexed binary heap, so that setting and cancelling cost O(log n) and, once the
// slots exist, no allocation beyond that of the function itself. Belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/time.h"
#include "shell/event_loop.h"

namespace lockstep {

class TimerQueue {
 public:
  TimerId add(Instant when, std::function<void()> what);
  // Cancelling a timer that has run, was cancelled, or is TimerId{} does nothing.
  void cancel(TimerId timer);
  // Runs what is due at `now`, earliest first, equal times in the order they were set. Timers set meanwhile
  // wait for the next call even if they are due, so that a timer that sets itself again cannot hold up the
  // loop.
  void run_due(Instant now);
  // How long until the next timer is due, at most `longest`; zero when one is due already.
  Duration until_next(Instant now, Duration longest) const;

 private:
  static constexpr uint32_t kNotQueued = UINT32_MAX;

  struct Slot {
    Instant when;
    uint64_t order = 0;
    std::function<void()> what;
    uint32_t place = kNotQueued;  // in heap_
    uint32_t generation = 0;      // of the id that names this slot
    bool in_use = false;
  };

  bool earlier(uint32_t a, uint32_t b) const;
  void set_place(uint32_t place, uint32_t slot);
  void sift_up(uint32_t place);
  void sift_down(uint32_t place);
  void take_out(uint32_t place);
  void release(uint32_t slot);
  TimerId id_of(uint32_t slot) const;
  // The slot that `timer` names, or kNotQueued if it is over.
  uint32_t find(TimerId timer) const;

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> heap_;  // slots, earliest at the front
  std::vector<TimerId> due_;    // of the run_due() under way
  uint64_t next_order_ = 0;
};

}  // namespace lockstep
