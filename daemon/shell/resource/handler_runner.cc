#include "shell/resource/handler_runner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "shell/loop/signals.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

std::string_view name_of(Handler kind) {
  constexpr std::string_view kNames[kHandlers] = {"fence-peer",  "local-io-error", "before-resync-target", "after-resync-target",
                                                  "out-of-sync", "quorum-lost",    "split-brain"};
  return kNames[static_cast<size_t>(kind)];
}

namespace {

int exit_status_of(const siginfo_t& info) { return info.si_code == CLD_EXITED ? info.si_status : -1; }

// Between fork and exec only async-signal-safe calls are allowed, so everything is prepared before.
pid_t spawn(const HandlerCommand& command) {
  std::vector<char*> argv;
  for (const std::string& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> environment;
  for (const std::string& entry : command.environment) environment.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::setpgid(0, 0);
  restore_for_child();
  const int nothing = ::open("/dev/null", O_RDWR);
  if (nothing >= 0) ::dup2(nothing, 0);
  ::execvpe(argv[0], argv.data(), environment.data());
  ::_exit(127);
}

}  // namespace

class HandlerRunner::Run final : public FdHandler {
 public:
  Run(HandlerRunner& runner, Key key, pid_t child, UniqueFd pidfd, Duration timeout, std::function<void(int)> done)
      : runner_(runner), key_(key), child_(child), pidfd_(std::move(pidfd)), done_(std::move(done)) {
    runner_.loop_.watch(pidfd_.get(), EPOLLIN, *this);
    timer_ = runner_.loop_.call_at(runner_.loop_.now() + timeout, [this] {
      timer_ = {};
      ::kill(-child_, SIGKILL);  // the whole group; its end is then seen as that of a signal
    });
  }
  ~Run() override {
    runner_.loop_.unwatch(pidfd_.get());
    if (timer_.value != 0) runner_.loop_.cancel(timer_);
    if (!reaped_) {
      ::kill(-child_, SIGKILL);
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED);
    }
  }
  void on_ready(uint32_t) override {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
    reaped_ = true;
    runner_.loop_.defer([&runner = runner_, key = key_, done = std::move(done_), status = exit_status_of(info)] {
      runner.running_.erase(key);
      done(status);
    });
    runner_.loop_.modify(pidfd_.get(), 0);
  }

 private:
  HandlerRunner& runner_;
  Key key_;
  pid_t child_;
  UniqueFd pidfd_;
  std::function<void(int)> done_;
  TimerId timer_;
  bool reaped_ = false;
};

HandlerRunner::HandlerRunner(EventLoop& loop) : loop_(loop) {}
HandlerRunner::~HandlerRunner() = default;

void HandlerRunner::start(Handler kind, Seat peer, const HandlerCommand& command, std::function<void(int)> done) {
  if (running(kind, peer)) return;
  const pid_t child = command.argv.empty() ? -1 : spawn(command);
  UniqueFd pidfd(child < 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!pidfd.ok()) {
    if (child > 0) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    loop_.defer([done = std::move(done)] { done(-1); });
    return;
  }
  const Key key{kind, peer.value};
  running_.emplace(key, std::make_unique<Run>(*this, key, child, std::move(pidfd), command.timeout, std::move(done)));
}

}  // namespace lockstep
