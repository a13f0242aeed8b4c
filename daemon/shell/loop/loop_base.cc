#include "shell/loop/loop_base.h"

#include "base/check.h"
#include "shell/loop/clock.h"
#include "shell/loop/file_device.h"

namespace lockstep {
namespace {

// The kernel's waits do not count time spent suspended, our timers do: after a resume they are late by at
// most this.
constexpr Duration kLongestWait = seconds(1);

}  // namespace

Instant EventLoop::now() const { return boot_time_now(); }

std::unique_ptr<BlockDevice> LoopBase::adopt_device(OpenedDevice device) {
  return std::make_unique<FileDevice>(std::move(device), static_cast<EventLoop&>(*this), static_cast<DiskEngine&>(*this));
}

void LoopBase::run() {
  while (!stopping_.exchange(false)) run_once(kLongestWait);
}

void LoopBase::stop() {
  stopping_ = true;
  posted_.wake();
}

void LoopBase::run_once(Duration longest) {
  CHECK(!in_turn_);
  in_turn_ = true;
  run_deferred();
  // What was deferred by deferred calls still runs before any waiting.
  const Duration most = deferred_.empty() ? longest : Duration{};
  submit_wait_dispatch(timers_.until_next(now(), most));
  timers_.run_due(now());
  run_deferred();
  in_turn_ = false;
}

void LoopBase::forget_calls() {
  // What goes may defer or post more; it is dropped as well.
  for (int i = 0; i < 8; ++i) {
    posted_.forget();
    std::vector<std::function<void()>> dropped;
    dropped.swap(deferred_);
    TimerQueue no_timers;
    std::swap(timers_, no_timers);
  }
}

void LoopBase::run_deferred() {
  running_deferred_.swap(deferred_);
  for (std::function<void()>& what : running_deferred_) what();
  running_deferred_.clear();
}

}  // namespace lockstep
