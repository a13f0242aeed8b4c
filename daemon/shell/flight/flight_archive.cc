#include "shell/flight/flight_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace lockstep {

namespace {

constexpr int kMostKept = 9;

uint64_t size_of(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? static_cast<uint64_t>(found.st_size) : 0;
}

}  // namespace

Result<void> put_away_recordings(const std::string& directory, const std::string& name, uint64_t most_bytes) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return Error{errno, "make"};
  const std::string current = directory + "/" + name;
  const auto kept = [&current](int i) { return i == 0 ? current : current + "." + std::to_string(i); };
  if (::access(current.c_str(), F_OK) != 0) return {};
  for (int i = kMostKept - 1; i >= 0; --i) {
    if (::rename(kept(i).c_str(), kept(i + 1).c_str()) != 0 && errno != ENOENT) return Error{errno, "rename in"};
  }
  uint64_t bytes = size_of(kept(1));
  for (int i = 2; i <= kMostKept; ++i) {
    bytes += size_of(kept(i));
    if (bytes > most_bytes && ::unlink(kept(i).c_str()) != 0 && errno != ENOENT) return Error{errno, "remove from"};
  }
  return {};
}

}  // namespace lockstep
