#include "shell/loop/limited_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "shell/loop/unique_fd.h"

namespace lockstep {
namespace {

TEST(LimitedLog, SomeLinesThenHowManyMoreThereWere) {
  std::array<int, 2> fds{-1, -1};
  ASSERT_EQ(::pipe(fds.data()), 0);
  const UniqueFd out(fds[0]);
  UniqueFd in(fds[1]);
  log_to(in.get(), "test", LogLevel::info);
  auto loop = EventLoop::create(IoEngine::automatic);
  ASSERT_TRUE(loop.ok());
  bool over = false;
  {
    LimitedLog log(*loop.value(), "r0", "strangers", {3, milliseconds(20)});
    for (int i = 0; i < 1000; ++i) log.line(LogLevel::warning, "go away");
    loop.value()->call_at(loop.value()->now() + milliseconds(40), [&over] { over = true; });
    while (!over) loop.value()->run_once(milliseconds(10));
    log.line(LogLevel::warning, "a new interval");
  }
  log_to(STDERR_FILENO, "test", LogLevel::info);
  in = UniqueFd();
  std::string text(65536, '\0');
  const ssize_t got = ::read(out.get(), text.data(), text.size());
  ASSERT_GT(got, 0);
  text.resize(static_cast<size_t>(got));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5) << text;
  EXPECT_NE(text.find("WARNING r0: strangers: 997 more suppressed\n"), std::string::npos) << text;
  EXPECT_NE(text.find("a new interval"), std::string::npos) << text;
}

}  // namespace
}  // namespace lockstep
