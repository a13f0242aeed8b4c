// Which descriptors a loop watches, and for whom. A key names one registration and goes stale with it, so
// that readiness which the kernel reported before an unwatch() is never delivered to whoever has the
// descriptor number next.
#pragma once

#include <cstdint>
#include <vector>

#include "shell/event_loop.h"

namespace lockstep {

struct Watch {
  int fd = -1;  // -1: free
  uint32_t events = 0;
  FdHandler* handler = nullptr;
  uint32_t generation = 0;
  bool armed = false;   // io_uring: a poll request is with the kernel
  bool listed = false;  // io_uring: waits to be armed
};

class WatchTable {
 public:
  // Index of the new registration. The fd must not be watched already.
  uint32_t add(int fd, uint32_t events, FdHandler& handler);
  // Index of a watched fd; an fd that is not watched is a bug.
  uint32_t index_of(int fd) const;
  void remove(uint32_t index);

  Watch& at(uint32_t index) { return watches_[index]; }
  // Makes the keys given out so far for this registration stale.
  void renew(uint32_t index) { ++watches_[index].generation; }
  uint64_t key(uint32_t index) const;
  // The registration with this key; null when it is stale.
  Watch* find(uint64_t key);
  static uint32_t index_in(uint64_t key) { return static_cast<uint32_t>(key); }

 private:
  std::vector<Watch> watches_;
  std::vector<uint32_t> free_;
  std::vector<int32_t> by_fd_;  // index, or -1
};

}  // namespace lockstep
