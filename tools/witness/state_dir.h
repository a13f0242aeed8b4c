// The witness's state directory: RESOURCE-UUID.state and RESOURCE-UUID.pub. Locked, so that two witnesses
// never share one.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

class StateDir {
 public:
  // Creates the directory (not its parents) when it is missing. EWOULDBLOCK: another witness has it.
  static Result<StateDir> open(const std::string& path);

  std::string file_of(const ResourceId& resource, const char* suffix) const;
  // How many files with this suffix there are.
  size_t count(const char* suffix) const;
  // Makes names durable: after a file was created.
  Result<void> sync() const;
  // Writes a small file whole or not at all: temporary file, sync, rename, sync of the directory.
  Result<void> replace(const std::string& path, std::string_view contents) const;

 private:
  std::string path_;
  UniqueFd fd_;  // of the directory; carries the lock
};

}  // namespace lockstep
