// What both event loops share: timers, deferred and posted calls, and the order of things within a turn. An
// engine adds readiness and disk I/O.
//
// A turn: deferred calls; then everything to be submitted goes to the kernel and the thread waits, both in
// one call; then completions and readiness; then due timers; then the calls deferred by all of these.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shell/event_loop.h"
#include "shell/loop/disk_io.h"
#include "shell/loop/posted_calls.h"
#include "shell/loop/timer_queue.h"
#include "shell/loop/watch_table.h"

namespace lockstep {

class LoopBase : public EventLoop, protected DiskEngine {
 public:
  std::string fallback_reason() const override { return fallback_reason_; }
  void set_fallback_reason(std::string reason) { fallback_reason_ = std::move(reason); }

  std::unique_ptr<BlockDevice> adopt_device(OpenedDevice device) override;
  TimerId call_at(Instant when, std::function<void()> what) override { return timers_.add(when, std::move(what)); }
  void cancel(TimerId timer) override { timers_.cancel(timer); }
  void defer(std::function<void()> what) override { deferred_.push_back(std::move(what)); }
  void post(std::function<void()> what) override { posted_.post(std::move(what)); }

  void run() override;
  void stop() override;
  void run_once(Duration longest) override;  // not from inside a turn

 protected:
  DiskIoSlab& slab() override { return slab_; }
  // Submits what is waiting, waits for something to happen but at most so long, and hands out what has
  // happened.
  virtual void submit_wait_dispatch(Duration longest) = 0;

  // For the destructors of engines, first of all: a call that is dropped may own a socket, and unwatches it while it goes. After the
  // engine's part is gone there is nobody left to do that.
  void forget_calls();

  WatchTable watches_;
  PostedCalls posted_;
  DiskIoQueue waiting_io_;  // not yet with the kernel

 private:
  void run_deferred();

  DiskIoSlab slab_;
  TimerQueue timers_;
  std::vector<std::function<void()>> deferred_;
  std::vector<std::function<void()>> running_deferred_;  // kept for its memory
  std::atomic<bool> stopping_ = false;
  bool in_turn_ = false;
  std::string fallback_reason_;
};

}  // namespace lockstep
