// How a daemon speaks to its surroundings: the log's lines and systemd's notifications.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "loop_fixture.h"
#include "shell/loop/log.h"
#include "shell/loop/sd_notify.h"
#include "shell/loop/unique_fd.h"

namespace lockstep::conformance {
namespace {

struct Pipe {
  UniqueFd out;
  UniqueFd in;
};

Pipe make_pipe() {
  std::array<int, 2> fds{-1, -1};
  EXPECT_EQ(pipe(fds.data()), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string read_some(int fd) {
  std::array<char, 512> text{};
  const ssize_t got = read(fd, text.data(), text.size());
  return got > 0 ? std::string(text.data(), static_cast<size_t>(got)) : std::string();
}

TEST(LogTest, TextIsStable) {
  EXPECT_EQ(log_text(LogLevel::warning, "r0", "beta: no answer for 12 s", "peer-silent"),
            "WARNING r0: beta: no answer for 12 s [peer-silent]");
  EXPECT_EQ(log_text(LogLevel::error, "", "no control socket", ""), "ERROR no control socket");
  EXPECT_EQ(log_text(LogLevel::info, "r0", "evil\n<0>name\x7f", ""), "INFO r0: evil?<0>name?");
}

TEST(LogTest, TimeAndProgramInFront) {
  unsetenv("JOURNAL_STREAM");
  const Pipe pipe = make_pipe();
  log_to(pipe.in.get(), "lockstepd", LogLevel::info);
  EXPECT_FALSE(log_wants(LogLevel::debug));
  log_line(LogLevel::debug, "r0", "not this");
  log_format(LogLevel::notice, "r0", "connected", "peer {} is here", "beta");
  const std::string line = read_some(pipe.out.get());
  EXPECT_EQ(line.substr(line.find(' ')), " lockstepd: NOTICE r0: peer beta is here [connected]\n");
  EXPECT_EQ(line.find('T'), 10U);
  EXPECT_EQ(line.find('Z'), 23U);
  log_to(STDERR_FILENO, "test", LogLevel::info);
}

TEST(LogTest, PriorityInFrontWhereTheJournalReads) {
  const Pipe pipe = make_pipe();
  struct stat about {};
  ASSERT_EQ(fstat(pipe.in.get(), &about), 0);
  const std::string stream = std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino);
  ASSERT_EQ(setenv("JOURNAL_STREAM", stream.c_str(), 1), 0);
  log_to(pipe.in.get(), "lockstepd", LogLevel::debug);
  log_line(LogLevel::warning, "r0", "late");
  EXPECT_EQ(read_some(pipe.out.get()), "<4>WARNING r0: late\n");
  // Inherited, but standard error goes elsewhere.
  ASSERT_EQ(setenv("JOURNAL_STREAM", "1:1", 1), 0);
  log_to(pipe.in.get(), "lockstepd", LogLevel::debug);
  log_line(LogLevel::warning, "r0", "late");
  EXPECT_NE(read_some(pipe.out.get()).front(), '<');
  unsetenv("JOURNAL_STREAM");
  log_to(STDERR_FILENO, "test", LogLevel::info);
}

TEST(NotifyTest, TellsSystemd) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(sd_notify("READY=1").ok());

  const ScratchDirectory scratch("/tmp");
  const std::string path = scratch.path() + "/notify";
  const UniqueFd socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(setenv("NOTIFY_SOCKET", path.c_str(), 1), 0);
  EXPECT_TRUE(sd_notify("READY=1\nSTATUS=2 resources").ok());
  EXPECT_EQ(read_some(socket_fd.get()), "READY=1\nSTATUS=2 resources");

  ASSERT_EQ(setenv("NOTIFY_SOCKET", "relative", 1), 0);
  EXPECT_EQ(sd_notify("READY=1").error().os, EINVAL);
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace lockstep::conformance
