// Where a file has holes (lseek(2), SEEK_DATA and SEEK_HOLE). The file system may have to read for it, so a thread of its own asks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "shell/event_loop.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

struct Stretch {
  uint64_t length = 0;  // bytes
  bool hole = false;
  friend bool operator==(const Stretch&, const Stretch&) = default;
};

// Neighbours are different, and together they cover the whole range, but where there would be more than `most`. What the system does not say is
// no hole. Blocks, for it can take long.
std::vector<Stretch> stretches_of(int fd, uint64_t offset, uint64_t length, size_t most);

class HoleFinder {
 public:
  using Done = std::function<void(std::vector<Stretch>)>;

  explicit HoleFinder(EventLoop& loop) : loop_(loop) {}  // which outlives it
  ~HoleFinder();                                         // drops what was not answered; waits for the one that the thread is at
  HoleFinder(const HoleFinder&) = delete;
  HoleFinder& operator=(const HoleFinder&) = delete;

  // `done` is called on the loop's thread, in the order of the calls, never from within this. A copy of `fd` is used.
  void find(int fd, uint64_t offset, uint64_t length, size_t most, Done done);

 private:
  struct Question {
    std::shared_ptr<UniqueFd> fd;
    uint64_t offset = 0;
    uint64_t length = 0;
    size_t most = 0;
    Done done;
  };
  void start_thread();
  void run();
  void answer(Question question, std::vector<Stretch> found);

  EventLoop& loop_;
  std::thread thread_;  // from the first question on
  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Question> waiting_;  // under mutex_
  bool ending_ = false;           // under mutex_
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep
