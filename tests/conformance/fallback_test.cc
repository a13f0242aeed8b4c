// `automatic` where a policy forbids io_uring, as in most containers: a child under a seccomp filter.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>

#include "loop_fixture.h"

namespace lockstep::conformance {
namespace {

// From here on io_uring_setup() fails with `error` in this process. The architecture is not looked at:
// nothing here is security, only a stand-in for it.
bool forbid_io_uring(int error) {
  std::array<sock_filter, 4> code = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum ChildSays : int { as_expected = 0, no_filter = 77, no_loop, wrong_engine, no_reason, does_not_run, not_refused };

int in_child(int error) {
  if (!forbid_io_uring(error)) return no_filter;
  Result<std::unique_ptr<EventLoop>> made = EventLoop::create(IoEngine::automatic);
  if (!made.ok()) return no_loop;
  EventLoop& loop = *made.value();
  if (loop.engine_name() != "libaio") return wrong_engine;
  const std::string reason = loop.fallback_reason();
  std::fprintf(stderr, "fallback reason: %s\n", reason.c_str());
  if (reason.find("io_uring_setup") == std::string::npos || reason.find("seccomp") == std::string::npos) return no_reason;
  bool ran = false;
  loop.post([&ran] { ran = true; });
  if (!run_until(loop, [&ran] { return ran; })) return does_not_run;
  const Result<std::unique_ptr<EventLoop>> asked_for = EventLoop::create(IoEngine::io_uring);
  return !asked_for.ok() && asked_for.error().os == error ? as_expected : not_refused;
}

class FallbackTest : public testing::TestWithParam<int> {};

TEST_P(FallbackTest, AutomaticTakesLibaioAndSaysWhy) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(in_child(GetParam()));  // not exit(): no test framework's end in the child
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == no_filter) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(WEXITSTATUS(status), as_expected);
}

INSTANTIATE_TEST_SUITE_P(Errors, FallbackTest, testing::Values(EPERM, ENOSYS),
                         [](const auto& test) { return test.param == EPERM ? "EPERM" : "ENOSYS"; });

TEST(PreferenceTest, AutomaticPrefersIoUring) {
  std::string why;
  if (make_loop(IoEngine::io_uring, why) == nullptr) GTEST_SKIP() << why;
  const Result<std::unique_ptr<EventLoop>> made = EventLoop::create(IoEngine::automatic);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made.value()->engine_name(), "io_uring");
  EXPECT_EQ(made.value()->fallback_reason(), "");
}

}  // namespace
}  // namespace lockstep::conformance
