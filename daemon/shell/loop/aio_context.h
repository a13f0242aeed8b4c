// Kernel AIO for the epoll loop: submits BlockIo in batches and collects what is done. Calls that kernel AIO
// lacks (fallocate, and fdatasync on some file systems) run on one helper thread. With buffered files
// io_submit() may block: the file systems in use for real give O_DIRECT.
#pragma once

#include <libaio.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "shell/loop/disk_io.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

// Runs blocking calls, one after another, on a thread that is started by the first of them.
class CallThread {
 public:
  CallThread() = default;
  ~CallThread();  // finishes what it has
  CallThread(const CallThread&) = delete;
  CallThread& operator=(const CallThread&) = delete;
  void run(std::function<void()> what);

 private:
  void serve();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> waiting_;  // under mutex_
  bool leaving_ = false;                        // under mutex_
  std::thread thread_;
};

class AioContext {
 public:
  // For a completion: bytes or zero, or a negative errno. On the loop's thread.
  using Done = std::function<void(BlockIo&, int64_t outcome)>;
  // Runs a call on the loop's thread; from any thread.
  using Post = std::function<void(std::function<void()>)>;

  AioContext() = default;
  ~AioContext();
  AioContext(const AioContext&) = delete;
  AioContext& operator=(const AioContext&) = delete;

  Result<void> open(Post post, Done done);
  int fd() const { return event_.get(); }  // readable when something is done
  // Takes from the front of `queue` what there is room for. False when the kernel is short of something and
  // the rest should be tried again soon. What it refuses goes to `done` from here.
  bool submit(DiskIoQueue& queue);
  // Hands out what is done.
  void collect();

 private:
  bool needs_helper(DiskCall call) const;
  void run_on_helper(BlockIo& io);
  void to_batch(BlockIo& io);
  void refused(iocb& slot, int error);
  BlockIo& take_back(iocb& slot);

  Post post_;
  Done done_;
  UniqueFd event_;
  io_context_t context_ = nullptr;
  std::vector<iocb> slots_;
  std::vector<iocb*> free_;
  std::vector<iocb*> batch_;  // filled in, but not yet taken by the kernel
  bool kernel_syncs_ = true;  // until it refuses IOCB_CMD_FDSYNC
  CallThread helper_;
};

}  // namespace lockstep
