#include "shell/loop/log.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "base/check.h"

namespace lockstep {
namespace {

struct Sink {
  int fd = STDERR_FILENO;
  std::string program = "lockstep";
  LogLevel most = LogLevel::info;
  bool journal = false;
};

Sink& sink() {
  static Sink the_sink;
  return the_sink;
}

// JOURNAL_STREAM names the device and inode of the journal's stream; inherited by children that redirect
// theirs, hence the comparison (systemd.exec(5)).
bool is_journal(int fd) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat about {};
  if (stream == nullptr || fstat(fd, &about) != 0) return false;
  return fmt::format("{}:{}", about.st_dev, about.st_ino) == stream;
}

struct LevelName {
  const char* word;
  int priority;  // syslog(3)
};

LevelName name_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return {"ERROR", 3};
    case LogLevel::warning:
      return {"WARNING", 4};
    case LogLevel::notice:
      return {"NOTICE", 5};
    case LogLevel::info:
      return {"INFO", 6};
    case LogLevel::debug:
      return {"DEBUG", 7};
  }
  UNREACHABLE("a LogLevel");
}

std::string time_now() {
  timespec at{};
  CHECK(clock_gettime(CLOCK_REALTIME, &at) == 0);
  tm parts{};
  CHECK(gmtime_r(&at.tv_sec, &parts) != nullptr);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec, at.tv_nsec / 1'000'000);
}

}  // namespace

void log_to(int fd, std::string_view program, LogLevel most) { sink() = {fd, std::string(program), most, is_journal(fd)}; }

bool log_wants(LogLevel level) { return level <= sink().most; }

std::string log_text(LogLevel level, std::string_view resource, std::string_view message, std::string_view reason) {
  std::string text = name_of(level).word;
  if (!resource.empty()) text.append(" ").append(resource).append(":");
  text.append(" ").append(message);
  if (!reason.empty()) text.append(" [").append(reason).append("]");
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

void log_line(LogLevel level, std::string_view resource, std::string_view message, std::string_view reason) {
  if (!log_wants(level)) return;
  std::string line =
      sink().journal ? fmt::format("<{}>", name_of(level).priority) : fmt::format("{} {}: ", time_now(), sink().program);
  line.append(log_text(level, resource, message, reason)).push_back('\n');
  // A log that cannot be written is no reason to stop replicating.
  if (::write(sink().fd, line.data(), line.size()) < 0) return;
}

}  // namespace lockstep
