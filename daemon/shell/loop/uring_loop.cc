#include "shell/loop/uring_loop.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "shell/loop/file_device.h"

namespace lockstep {
namespace {

constexpr unsigned kSubmissionEntries = 256;
constexpr unsigned kCompletionEntries = 4096;
constexpr Duration kHalfClosedPause = milliseconds(200);
// Leaves room in the completion queue for polls, so that it does not overflow under disk load.
constexpr uint32_t kMostDiskIo = 2048;

// The low bits of user_data say what a completion is for. A BlockIo's address has them clear.
constexpr uint64_t kTagMask = 3;
constexpr uint64_t kDiskTag = 0;
constexpr uint64_t kPollTag = 1;
constexpr uint64_t kIgnoreTag = 2;

uint64_t poll_user_data(uint64_t key) {
  const uint64_t index = key & UINT32_MAX;
  return (key & ~uint64_t{UINT32_MAX}) | (index << 2) | kPollTag;
}

uint64_t poll_key(uint64_t user_data) { return (user_data & ~uint64_t{UINT32_MAX}) | ((user_data & UINT32_MAX) >> 2); }

void prepare(io_uring_sqe& sqe, const BlockIo& io) {
  const auto length = static_cast<unsigned>(io.length);
  switch (io.call) {
    case DiskCall::read:
      io_uring_prep_read(&sqe, io.fd, io.data, length, io.offset);
      return;
    case DiskCall::write:
      io_uring_prep_write(&sqe, io.fd, io.data, length, io.offset);
      if (io.durable) sqe.rw_flags = RWF_DSYNC;
      return;
    case DiskCall::punch_hole:
      io_uring_prep_fallocate(&sqe, io.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(io.offset),
                              static_cast<off_t>(io.length));
      return;
    case DiskCall::zero_range:
      io_uring_prep_fallocate(&sqe, io.fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(io.offset),
                              static_cast<off_t>(io.length));
      return;
    case DiskCall::data_sync:
      io_uring_prep_fsync(&sqe, io.fd, IORING_FSYNC_DATASYNC);
      return;
  }
}

}  // namespace

Result<std::unique_ptr<UringLoop>> UringLoop::create() {
  std::unique_ptr<UringLoop> loop(new UringLoop);
  const Result<void> opened = loop->open();
  if (!opened.ok()) return opened.error();
  return loop;
}

Result<void> UringLoop::open() {
  const Result<void> posted = posted_.open();
  if (!posted.ok()) return posted.error();
  // Best first; a kernel that does not know a flag says EINVAL. R_DISABLED: the thread that enables the ring,
  // not the one that creates it, is the single issuer.
  constexpr std::array<unsigned, 3> kFlags = {
      IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
          IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED,
      IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
      IORING_SETUP_CQSIZE,
  };
  int error = -EINVAL;
  io_uring_params params{};
  for (size_t i = 0; i < kFlags.size() && error == -EINVAL; ++i) {
    params = {};
    params.flags = kFlags[i];
    params.cq_entries = kCompletionEntries;
    error = io_uring_queue_init_params(kSubmissionEntries, &ring_, &params);
  }
  if (error != 0) return Error{-error, "io_uring_setup"};
  open_ = true;
  enabled_ = (params.flags & IORING_SETUP_R_DISABLED) == 0;
  // Without EXT_ARG (5.11) a wait with a limit costs a request of its own; without NODROP completions can be
  // lost.
  constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
  if ((params.features & kNeeded) != kNeeded) return Error{EOPNOTSUPP, "io_uring features"};
  watch(posted_.fd(), POLLIN, posted_);
  return {};
}

UringLoop::~UringLoop() {
  forget_calls();
  if (open_) io_uring_queue_exit(&ring_);
}

void UringLoop::enable() {
  if (enabled_) return;
  // By hand: liburing 2.3 declares io_uring_enable_rings() but its shared library does not export it.
  CHECK(syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
  enabled_ = true;
}

void UringLoop::watch(int fd, uint32_t events, FdHandler& handler) { to_arm(watches_.add(fd, events, handler)); }

void UringLoop::modify(int fd, uint32_t events) {
  const uint32_t index = watches_.index_of(fd);
  if (watches_.at(index).events == events) return;
  watches_.at(index).events = events;
  disarm(index);
  watches_.renew(index);
  to_arm(index);
}

void UringLoop::unwatch(int fd) {
  const uint32_t index = watches_.index_of(fd);
  disarm(index);
  watches_.remove(index);
}

void UringLoop::to_arm(uint32_t index) {
  Watch& watch = watches_.at(index);
  if (watch.listed) return;
  watch.listed = true;
  to_arm_.push_back(index);
}

void UringLoop::disarm(uint32_t index) {
  Watch& watch = watches_.at(index);
  if (!watch.armed) return;
  watch.armed = false;
  to_cancel_.push_back(poll_user_data(watches_.key(index)));
}

// Each of these returns false when the submission queue is full and something is left.
bool UringLoop::fill_submission_queue() { return fill_cancellations() && fill_polls() && fill_disk_io(); }

bool UringLoop::fill_cancellations() {
  while (!to_cancel_.empty()) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) return false;
    io_uring_prep_poll_remove(sqe, to_cancel_.back());
    io_uring_sqe_set_data64(sqe, kIgnoreTag);
    to_cancel_.pop_back();
  }
  return true;
}

bool UringLoop::fill_polls() {
  while (!to_arm_.empty()) {
    const uint32_t index = to_arm_.back();
    Watch& watch = watches_.at(index);
    if (watch.fd >= 0 && !watch.armed) {  // may be gone, or gone and replaced, since it was listed
      io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
      if (sqe == nullptr) return false;
      io_uring_prep_poll_add(sqe, watch.fd, watch.events);
      io_uring_sqe_set_data64(sqe, poll_user_data(watches_.key(index)));
      watch.armed = true;
    }
    watch.listed = false;
    to_arm_.pop_back();
  }
  return true;
}

bool UringLoop::fill_disk_io() {
  while (!waiting_io_.empty() && disk_io_in_kernel_ < kMostDiskIo) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) return false;
    BlockIo& io = waiting_io_.front();
    waiting_io_.pop_front();
    prepare(*sqe, io);
    io_uring_sqe_set_data(sqe, &io);
    ++disk_io_in_kernel_;
  }
  return true;
}

void UringLoop::submit_wait_dispatch(Duration longest) {
  enable();
  bool all = fill_submission_queue();
  while (!all && io_uring_submit(&ring_) > 0) all = fill_submission_queue();
  submit_and_wait(longest, all);
  dispatch();
}

void UringLoop::submit_and_wait(Duration longest, bool all_submitted) {
  const int64_t ns = all_submitted ? std::max<int64_t>(longest.ns, 0) : 0;
  __kernel_timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
  io_uring_cqe* cqe = nullptr;
  const int result = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &timeout, nullptr);
  if (result >= 0) return;
  // Nothing happened in time, a signal, or a shortage that completions relieve: what is queued goes with the
  // next turn.
  const bool passing = result == -ETIME || result == -EINTR || result == -EBUSY || result == -EAGAIN || result == -ENOMEM;
  CHECK(passing);
}

void UringLoop::dispatch() {
  struct Completion {
    uint64_t user_data;
    int32_t outcome;
  };
  std::array<io_uring_cqe*, 128> entries;
  std::array<Completion, 128> batch;
  // Only what is there now: completions that come meanwhile must not keep timers from running.
  unsigned left = std::max(io_uring_cq_ready(&ring_), 1U);
  while (left > 0) {
    const unsigned count =
        io_uring_peek_batch_cqe(&ring_, entries.data(), std::min<unsigned>(left, static_cast<unsigned>(entries.size())));
    if (count == 0) return;
    for (unsigned i = 0; i < count; ++i) batch[i] = {entries[i]->user_data, entries[i]->res};
    io_uring_cq_advance(&ring_, count);  // before the handlers run: the kernel may have the room again
    for (unsigned i = 0; i < count; ++i) dispatch_one(batch[i].user_data, batch[i].outcome);
    left -= count;
  }
}

void UringLoop::dispatch_one(uint64_t user_data, int32_t outcome) {
  const uint64_t tag = user_data & kTagMask;
  if (tag == kIgnoreTag) return;
  if (tag == kPollTag) return poll_completed(poll_key(user_data), outcome);
  CHECK(tag == kDiskTag);
  --disk_io_in_kernel_;
  auto* io = reinterpret_cast<BlockIo*>(user_data);
  io->device->finished(*io, outcome);
}

void UringLoop::poll_completed(uint64_t key, int32_t outcome) {
  Watch* watch = watches_.find(key);
  if (watch == nullptr) return;  // unwatched or modified since
  watch->armed = false;
  // io_uring reports a peer that has ended its side (POLLRDHUP) to everybody, at once and again. A handler that reads no more
  // but still sends did not ask for that; an error or a hang-up, which it did ask for, is looked for every now and then.
  constexpr uint32_t kAlways = POLLERR | POLLHUP | POLLNVAL;
  if (outcome > 0 && (static_cast<uint32_t>(outcome) & (watch->events | kAlways)) == 0) {
    call_at(now() + kHalfClosedPause, [this, key] {
      if (watches_.find(key) != nullptr) to_arm(WatchTable::index_in(key));
    });
    return;
  }
  to_arm(WatchTable::index_in(key));
  // A descriptor that cannot be polled shows as an error; its handler then reads or writes and sees which.
  watch->handler->on_ready(outcome >= 0 ? static_cast<uint32_t>(outcome) : uint32_t{POLLERR});
}

}  // namespace lockstep
