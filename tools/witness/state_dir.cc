#include "state_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace lockstep {

Result<StateDir> StateDir::open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Error{errno, "create the state directory"};
  StateDir dir;
  dir.path_ = path;
  dir.fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.fd_.ok()) return Error{errno, "open the state directory"};
  if (::flock(dir.fd_.get(), LOCK_EX | LOCK_NB) != 0) return Error{errno, "lock the state directory"};
  return dir;
}

std::string StateDir::file_of(const ResourceId& resource, const char* suffix) const {
  return path_ + "/" + resource.to_string() + suffix;
}

size_t StateDir::count(const char* suffix) const {
  size_t files = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == suffix) ++files;
  }
  return files;
}

Result<void> StateDir::sync() const {
  if (::fsync(fd_.get()) != 0) return Error{errno, "sync the state directory"};
  return {};
}

Result<void> StateDir::replace(const std::string& path, std::string_view contents) const {
  const std::string temporary = path + ".new";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.ok()) return Error{errno, "create a file in the state directory"};
  const ssize_t written = ::write(fd.get(), contents.data(), contents.size());
  if (written < 0) return Error{errno, "write a file in the state directory"};
  if (static_cast<size_t>(written) != contents.size()) return Error{EIO, "write a file in the state directory"};
  if (::fsync(fd.get()) != 0) return Error{errno, "sync a file in the state directory"};
  if (::rename(temporary.c_str(), path.c_str()) != 0) return Error{errno, "rename a file in the state directory"};
  return sync();
}

}  // namespace lockstep
