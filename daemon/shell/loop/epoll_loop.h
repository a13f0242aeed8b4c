// The event loop for machines where io_uring is forbidden or missing: epoll for readiness, kernel AIO for
// disks.
#pragma once

#include <sys/epoll.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "shell/loop/aio_context.h"
#include "shell/loop/loop_base.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

class EpollLoop : public LoopBase {
 public:
  // Errors: of epoll_create1(), eventfd(), and io_setup() (ENOSYS without kernel AIO).
  static Result<std::unique_ptr<EpollLoop>> create();
  ~EpollLoop() override;
  EpollLoop(const EpollLoop&) = delete;
  EpollLoop& operator=(const EpollLoop&) = delete;

  std::string engine_name() const override { return "libaio"; }
  void watch(int fd, uint32_t events, FdHandler& handler) override;
  void modify(int fd, uint32_t events) override;
  void unwatch(int fd) override;

 protected:
  void start(BlockIo& io) override { waiting_io_.push_back(io); }
  void submit_wait_dispatch(Duration longest) override;

 private:
  class Completions : public FdHandler {
   public:
    explicit Completions(AioContext& aio) : aio_(aio) {}
    void on_ready(uint32_t) override { aio_.collect(); }

   private:
    AioContext& aio_;
  };

  EpollLoop() = default;
  Result<void> open();
  int wait(epoll_event* events, int most, Duration longest);
  void control(int operation, int fd, uint32_t events, uint64_t key);

  UniqueFd epoll_;
  bool has_pwait2_ = true;  // epoll_pwait2(): waits in nanoseconds, from 5.11
  AioContext aio_;
  Completions completions_{aio_};
};

}  // namespace lockstep
