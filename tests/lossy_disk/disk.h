// The disk: a volatile cache over a file, errors on demand, and a cut of its power in place. Any thread may ask it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "lossy_disk/trouble.h"
#include "lossy_disk/volatile_cache.h"

namespace lockstep::lossy {

class Disk {
 public:
  Disk(int file, uint64_t size) : store_(file), cache_(store_), size_(size) {}
  uint64_t size() const { return size_; }

  // Requests of who opened the disk before its power was cut fail from then on, whenever they arrive.
  uint64_t epoch() const;
  // 0 or a negative error number.
  int read(uint64_t epoch, uint64_t offset, size_t length, std::byte* into);
  int write(uint64_t epoch, uint64_t offset, size_t length, const std::byte* from, bool fua = false);
  int zero(uint64_t epoch, uint64_t offset, size_t length);
  int flush(uint64_t epoch);

  // One line that asks, the answer's line: "crash SEED", "fail FIRST COUNT KINDS FROM TO" (KINDS: letters of rwf), "well", "counts", "cache on",
  // "cache off".
  std::string command(const std::string& line);

 private:
  template <typename Action>
  int answer(uint64_t epoch, Kind kind, uint64_t offset, size_t length, Action action);
  std::string crash(uint64_t seed);

  mutable std::mutex mutex_;
  Store store_;
  VolatileCache cache_;
  uint64_t size_;
  Troubles troubles_;
  uint64_t epoch_ = 1;
  uint64_t reads_ = 0, writes_ = 0, flushes_ = 0;
};

}  // namespace lockstep::lossy
