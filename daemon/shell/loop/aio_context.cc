#include "shell/loop/aio_context.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace lockstep {
namespace {

constexpr int kMostSlots = 1024;
constexpr int kFewestSlots = 32;

// What the helper thread does: touches the numbers handed to it and nothing of the loop's.
int64_t call_now(DiskCall call, int fd, off_t offset, off_t length) {
  int result = 0;
  switch (call) {
    case DiskCall::punch_hole:
      result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
      break;
    case DiskCall::zero_range:
      result = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
      break;
    case DiskCall::data_sync:
      result = fdatasync(fd);
      break;
    case DiskCall::read:
    case DiskCall::write:
      UNREACHABLE("kernel AIO reads and writes");
  }
  return result == 0 ? 0 : -errno;
}

void prepare(iocb& slot, const BlockIo& io) {
  switch (io.call) {
    case DiskCall::read:
      io_prep_pread(&slot, io.fd, io.data, io.length, static_cast<long long>(io.offset));
      return;
    case DiskCall::write:
      io_prep_pwrite(&slot, io.fd, io.data, io.length, static_cast<long long>(io.offset));
      if (io.durable) slot.aio_rw_flags = RWF_DSYNC;
      return;
    case DiskCall::data_sync:
      io_prep_fdsync(&slot, io.fd);
      return;
    case DiskCall::punch_hole:
    case DiskCall::zero_range:
      UNREACHABLE("kernel AIO has no fallocate");
  }
}

}  // namespace

CallThread::~CallThread() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    leaving_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void CallThread::run(std::function<void()> what) {
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    waiting_.push_back(std::move(what));
  }
  changed_.notify_one();
  if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
}

void CallThread::serve() {
  std::vector<std::function<void()>> mine;
  while (true) {
    {
      std::unique_lock<std::mutex> hold(mutex_);
      changed_.wait(hold, [this] { return leaving_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      mine.swap(waiting_);
    }
    for (std::function<void()>& what : mine) what();
    mine.clear();
  }
}

AioContext::~AioContext() {
  if (context_ != nullptr) io_destroy(context_);  // waits for what is in flight
}

Result<void> AioContext::open(Post post, Done done) {
  post_ = std::move(post);
  done_ = std::move(done);
  event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_.ok()) return Error{errno, "eventfd"};
  int slots = kMostSlots;
  int error = io_setup(slots, &context_);
  // The machine has one budget for all (fs.aio-max-nr): fewer slots make the queue longer, not wrong.
  while (error == -EAGAIN && slots > kFewestSlots) error = io_setup(slots /= 2, &context_);
  if (error != 0) return Error{-error, "io_setup"};
  slots_.resize(static_cast<size_t>(slots));
  for (iocb& slot : slots_) free_.push_back(&slot);
  return {};
}

bool AioContext::needs_helper(DiskCall call) const {
  switch (call) {
    case DiskCall::read:
    case DiskCall::write:
      return false;
    case DiskCall::punch_hole:
    case DiskCall::zero_range:
      return true;
    case DiskCall::data_sync:
      return !kernel_syncs_;
  }
  UNREACHABLE("a DiskCall");
}

void AioContext::run_on_helper(BlockIo& io) {
  helper_.run(
      [this, &io, call = io.call, fd = io.fd, offset = static_cast<off_t>(io.offset), length = static_cast<off_t>(io.length)] {
        const int64_t outcome = call_now(call, fd, offset, length);
        post_([this, &io, outcome] { done_(io, outcome); });
      });
}

void AioContext::to_batch(BlockIo& io) {
  iocb& slot = *free_.back();
  free_.pop_back();
  prepare(slot, io);
  slot.data = &io;
  io_set_eventfd(&slot, event_.get());
  batch_.push_back(&slot);
}

BlockIo& AioContext::take_back(iocb& slot) {
  free_.push_back(&slot);
  return *static_cast<BlockIo*>(slot.data);
}

void AioContext::refused(iocb& slot, int error) {
  BlockIo& io = take_back(slot);
  const bool no_such_call = error == EINVAL || error == EOPNOTSUPP;
  if (io.call != DiskCall::data_sync || !no_such_call) return done_(io, -error);
  kernel_syncs_ = false;  // the kernel is older than 4.18, or the file system has no asynchronous sync
  run_on_helper(io);
}

bool AioContext::submit(DiskIoQueue& queue) {
  while (!queue.empty() && (!free_.empty() || needs_helper(queue.front().call))) {
    BlockIo& io = queue.front();
    queue.pop_front();
    needs_helper(io.call) ? run_on_helper(io) : to_batch(io);
  }
  size_t taken = 0;
  while (taken < batch_.size()) {
    // Less than asked for when one was refused: that one is then at the front of the next attempt.
    const int count = io_submit(context_, static_cast<long>(batch_.size() - taken), batch_.data() + taken);
    if (count == -EAGAIN || count == -EINTR) break;
    if (count > 0) {
      taken += static_cast<size_t>(count);
    } else {
      refused(*batch_[taken++], -count);
    }
  }
  batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(taken));
  return batch_.empty();
}

void AioContext::collect() {
  uint64_t count = 0;
  // Cleared before collecting, so that what completes meanwhile makes it readable again.
  static_cast<void>(::read(event_.get(), &count, sizeof count));
  std::array<io_event, 128> events;
  // At most one round of the slots: completions that come meanwhile must not keep timers from running.
  for (size_t left = slots_.size(); left > 0;) {
    timespec at_once{};
    const long most = static_cast<long>(std::min(left, events.size()));
    const int got = io_getevents(context_, 0, most, events.data(), &at_once);
    if (got <= 0) return;
    for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
      BlockIo& io = take_back(*events[i].obj);
      done_(io, static_cast<int64_t>(events[i].res));
    }
    left -= static_cast<size_t>(got);
    if (got < most) return;
  }
  const uint64_t more = 1;
  static_cast<void>(::write(event_.get(), &more, sizeof more));  // there may be more: come back next turn
}

}  // namespace lockstep
