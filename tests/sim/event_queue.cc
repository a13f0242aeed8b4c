#include "sim/event_queue.h"

#include <algorithm>

#include "base/check.h"

namespace lockstep::sim {

void EventQueue::at(Instant when, Action action) {
  heap_.push_back({std::max(when, now_), order_++, std::move(action)});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

bool EventQueue::run_one(Instant until) {
  if (heap_.empty() || heap_.front().when > until) {
    now_ = std::max(now_, until);
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Entry entry = std::move(heap_.back());
  heap_.pop_back();
  CHECK(entry.when >= now_);
  now_ = entry.when;
  ++steps_;
  entry.action();
  return true;
}

}  // namespace lockstep::sim
