// The event loop on one io_uring: readiness by poll requests, disk I/O, and one system call a turn.
//
// Poll requests are one-shot and armed again before the next wait. That makes handlers level-triggered
// whatever they leave unread (a multishot poll, also with IORING_POLL_ADD_LEVEL, reports wake-ups and stays
// silent about what was there before), and costs one more entry in a submission that happens anyway. Nothing
// goes to the kernel outside submit_wait_dispatch(): the ring belongs to the thread of the first turn,
// whoever created the loop.
#pragma once

#include <liburing.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "shell/loop/loop_base.h"

namespace lockstep {

class UringLoop : public LoopBase {
 public:
  // Errors: what io_uring_setup() said (ENOSYS, EPERM where a policy forbids it); EOPNOTSUPP when the kernel
  // is too old.
  static Result<std::unique_ptr<UringLoop>> create();
  ~UringLoop() override;
  UringLoop(const UringLoop&) = delete;
  UringLoop& operator=(const UringLoop&) = delete;

  std::string engine_name() const override { return "io_uring"; }
  void watch(int fd, uint32_t events, FdHandler& handler) override;
  void modify(int fd, uint32_t events) override;
  void unwatch(int fd) override;

 protected:
  void start(BlockIo& io) override { waiting_io_.push_back(io); }
  void submit_wait_dispatch(Duration longest) override;

 private:
  UringLoop() = default;
  Result<void> open();
  void enable();
  void to_arm(uint32_t index);
  void disarm(uint32_t index);
  bool fill_submission_queue();
  bool fill_cancellations();
  bool fill_polls();
  bool fill_disk_io();
  void submit_and_wait(Duration longest, bool all_submitted);
  void dispatch();
  void dispatch_one(uint64_t user_data, int32_t outcome);
  void poll_completed(uint64_t key, int32_t outcome);

  io_uring ring_{};
  bool open_ = false;
  bool enabled_ = true;
  uint32_t disk_io_in_kernel_ = 0;
  std::vector<uint32_t> to_arm_;     // watches that need a poll request
  std::vector<uint64_t> to_cancel_;  // user_data of poll requests that nobody wants any more
};

}  // namespace lockstep
