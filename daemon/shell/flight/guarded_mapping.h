// Memory that is a file, whose loss does no harm: where the file was cut short, or its disk fails, a store into it would end the
// process with SIGBUS. Here it turns into ordinary memory instead, and lost() says so.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>

#include "base/result.h"

namespace lockstep {

class GuardedMapping {
 public:
  // Maps `bytes` of the file, also beyond its present end; what lies beyond must not be touched before the file has it.
  static Result<GuardedMapping> create(int fd, size_t bytes);
  GuardedMapping(GuardedMapping&& other) noexcept;
  GuardedMapping& operator=(GuardedMapping&&) = delete;
  ~GuardedMapping();

  std::span<std::byte> bytes() const { return bytes_; }
  bool lost() const;

 private:
  GuardedMapping(std::span<std::byte> bytes, size_t slot) : bytes_(bytes), slot_(slot) {}
  std::span<std::byte> bytes_;
  size_t slot_;
};

}  // namespace lockstep
