#include "shell/loop/passed_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace lockstep {

namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 256;

struct Passed {
  int fd;
  std::string name;
};
std::vector<Passed> adopted;  // never closed

std::optional<long> number_of(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  if (*end != '\0') return std::nullopt;
  return number;
}

bool listens(int fd) {
  int type = 0;
  int accepts = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) return false;
  size = sizeof accepts;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0 && accepts != 0;
}

}  // namespace

size_t adopt_passed_sockets() {
  const auto process = number_of("LISTEN_PID");
  const auto count = number_of("LISTEN_FDS");
  const char* given = std::getenv("LISTEN_FDNAMES");
  std::string names = given != nullptr ? given : "";
  if (process == ::getpid() && count && *count > 0 && *count <= kMost) {
    for (int fd = kFirst; fd < kFirst + *count; ++fd) {
      const size_t end = std::min(names.find(':'), names.size());
      if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) adopted.push_back({fd, names.substr(0, end)});
      names.erase(0, std::min(end + 1, names.size()));
    }
  }
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  return adopted.size();
}

std::vector<UniqueFd> passed_sockets(std::string_view name) {
  std::vector<UniqueFd> copies;
  for (const Passed& passed : adopted) {
    if (passed.name != name || !listens(passed.fd)) continue;
    UniqueFd copy(::fcntl(passed.fd, F_DUPFD_CLOEXEC, kFirst));
    if (!copy.ok() || ::fcntl(copy.get(), F_SETFL, O_NONBLOCK) != 0) continue;
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace lockstep
