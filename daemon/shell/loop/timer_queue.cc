#include "shell/loop/timer_queue.h"

#include <algorithm>

namespace lockstep {

TimerId TimerQueue::add(Instant when, std::function<void()> what) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.when = when;
  slot.order = next_order_++;
  slot.what = std::move(what);
  slot.in_use = true;
  ++slot.generation;
  heap_.push_back(index);
  sift_up(static_cast<uint32_t>(heap_.size() - 1));
  return id_of(index);
}

void TimerQueue::cancel(TimerId timer) {
  const uint32_t index = find(timer);
  if (index == kNotQueued) return;
  if (slots_[index].place != kNotQueued) take_out(slots_[index].place);
  release(index);
}

void TimerQueue::run_due(Instant now) {
  std::vector<TimerId> due;
  due.swap(due_);  // keeps the memory from turn to turn, and is safe if a timer comes back here
  due.clear();
  while (!heap_.empty() && slots_[heap_.front()].when <= now) {
    due.push_back(id_of(heap_.front()));
    take_out(0);
  }
  for (TimerId timer : due) {
    const uint32_t index = find(timer);
    if (index == kNotQueued) continue;  // cancelled by one that ran before it
    std::function<void()> what = std::move(slots_[index].what);
    release(index);
    what();
  }
  due_.swap(due);
}

Duration TimerQueue::until_next(Instant now, Duration longest) const {
  if (heap_.empty()) return longest;
  const Instant next = slots_[heap_.front()].when;
  if (next <= now) return Duration{};
  return std::min(longest, next - now);
}

bool TimerQueue::earlier(uint32_t a, uint32_t b) const {
  if (slots_[a].when != slots_[b].when) return slots_[a].when < slots_[b].when;
  return slots_[a].order < slots_[b].order;
}

void TimerQueue::set_place(uint32_t place, uint32_t slot) {
  heap_[place] = slot;
  slots_[slot].place = place;
}

void TimerQueue::sift_up(uint32_t place) {
  const uint32_t slot = heap_[place];
  while (place > 0) {
    const uint32_t parent = (place - 1) / 2;
    if (!earlier(slot, heap_[parent])) break;
    set_place(place, heap_[parent]);
    place = parent;
  }
  set_place(place, slot);
}

void TimerQueue::sift_down(uint32_t place) {
  const uint32_t slot = heap_[place];
  const auto count = static_cast<uint32_t>(heap_.size());
  while (2 * place + 1 < count) {
    uint32_t child = 2 * place + 1;
    if (child + 1 < count && earlier(heap_[child + 1], heap_[child])) ++child;
    if (!earlier(heap_[child], slot)) break;
    set_place(place, heap_[child]);
    place = child;
  }
  set_place(place, slot);
}

void TimerQueue::take_out(uint32_t place) {
  slots_[heap_[place]].place = kNotQueued;
  const uint32_t last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  set_place(place, last);
  sift_up(place);
  sift_down(slots_[last].place);
}

void TimerQueue::release(uint32_t slot) {
  slots_[slot].in_use = false;
  slots_[slot].what = nullptr;
  free_.push_back(slot);
}

TimerId TimerQueue::id_of(uint32_t slot) const {
  return {(static_cast<uint64_t>(slots_[slot].generation) << 32) | slot};  // a generation starts at 1: never TimerId{}
}

uint32_t TimerQueue::find(TimerId timer) const {
  const auto index = static_cast<uint32_t>(timer.value);
  const auto generation = static_cast<uint32_t>(timer.value >> 32);
  if (index >= slots_.size()) return kNotQueued;
  const Slot& slot = slots_[index];
  return slot.in_use && slot.generation == generation ? index : kNotQueued;
}

}  // namespace lockstep
