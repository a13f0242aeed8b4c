// One thread's event loop: readiness of sockets, completion of disk I/O, timers, and calls from other threads.
//
// Sockets are non-blocking and level-triggered: a handler reads or writes until EAGAIN. Disk I/O is submitted to a BlockDevice
// that was opened on this loop. Submissions of one turn go to the kernel together at its end. Two implementations: one
// io_uring for everything (readiness by poll requests on the same ring), and epoll with libaio where io_uring is disabled.
// Except for post(), everything is called from the loop's own thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "shell/block_device.h"

namespace lockstep {

// Bits for watch(): EPOLLIN, EPOLLOUT; handlers also get EPOLLERR and EPOLLHUP.
class FdHandler {
 public:
  virtual ~FdHandler() = default;
  virtual void on_ready(uint32_t events) = 0;
};

struct TimerId {
  uint64_t value = 0;  // 0: none
};

enum class IoEngine : uint8_t { automatic, io_uring, libaio };

class EventLoop {
 public:
  virtual ~EventLoop() = default;

  // `automatic` takes io_uring and falls back to libaio where the kernel or a policy forbids it; `engine_name` and
  // `fallback_reason` then say so.
  static Result<std::unique_ptr<EventLoop>> create(IoEngine engine);

  virtual std::string engine_name() const = 0;      // "io_uring" or "libaio"
  virtual std::string fallback_reason() const = 0;  // empty unless `automatic` could not have io_uring

  virtual void watch(int fd, uint32_t events, FdHandler& handler) = 0;
  virtual void modify(int fd, uint32_t events) = 0;
  virtual void unwatch(int fd) = 0;  // no call to its handler after this returns; the fd may then be closed

  // Takes ownership of an open file or block device. The device must not outlive the loop.
  virtual std::unique_ptr<BlockDevice> adopt_device(OpenedDevice device) = 0;

  Instant now() const;  // CLOCK_BOOTTIME
  virtual TimerId call_at(Instant when, std::function<void()> what) = 0;
  virtual void cancel(TimerId timer) = 0;
  // Runs at the end of this turn, before waiting: where batches (sends, replies) are flushed.
  virtual void defer(std::function<void()> what) = 0;
  // From any thread: runs on the loop's thread, soon. Bounded by the callers.
  virtual void post(std::function<void()> what) = 0;

  virtual void run() = 0;                       // until stop()
  virtual void stop() = 0;                      // from any thread
  virtual void run_once(Duration longest) = 0;  // one turn; waits at most so long
};

}  // namespace lockstep
