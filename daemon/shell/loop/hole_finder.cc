#include "shell/loop/hole_finder.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace lockstep {

namespace {

void add(std::vector<Stretch>& all, uint64_t length, bool hole) {
  if (length == 0) return;
  if (!all.empty() && all.back().hole == hole) {
    all.back().length += length;
  } else {
    all.push_back({length, hole});
  }
}

// Where there is data next, or a hole; `end` where there is none before that. No answer: at `at`, which makes it data.
uint64_t next(int fd, uint64_t at, uint64_t end, int whence) {
  const off_t found = ::lseek(fd, static_cast<off_t>(at), whence);
  if (found < 0) return errno == ENXIO && whence == SEEK_DATA ? end : at;
  return std::min(static_cast<uint64_t>(found), end);
}

}  // namespace

std::vector<Stretch> stretches_of(int fd, uint64_t offset, uint64_t length, size_t most) {
  std::vector<Stretch> all;
  const uint64_t end = offset + length;
  uint64_t at = offset;
  while (at < end && all.size() < most) {
    const uint64_t data = next(fd, at, end, SEEK_DATA);
    add(all, data - at, true);
    if (data == end || all.size() == most) return all;
    const uint64_t hole = next(fd, data, end, SEEK_HOLE);
    if (hole == data) {  // not said, or it has changed meanwhile
      add(all, end - data, false);
      return all;
    }
    add(all, hole - data, false);
    at = hole;
  }
  return all;
}

HoleFinder::~HoleFinder() {
  *alive_ = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
    waiting_.clear();
  }
  asked_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void HoleFinder::find(int fd, uint64_t offset, uint64_t length, size_t most, Done done) {
  Question question{std::make_shared<UniqueFd>(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), offset, length, most, std::move(done)};
  start_thread();
  if (!question.fd->ok() || !thread_.joinable()) return answer(std::move(question), {{length, false}});
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(question));
  }
  asked_.notify_one();
}

void HoleFinder::start_thread() {
  if (thread_.joinable()) return;
  try {  // the standard library knows no other way to say that there is no thread
    thread_ = std::thread([this] {
      ::prctl(PR_SET_NAME, "holes");
      run();
    });
  } catch (const std::system_error&) {
  }
}

void HoleFinder::run() {
  for (;;) {
    Question question;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      asked_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (ending_) return;
      question = std::move(waiting_.front());
      waiting_.pop_front();
    }
    auto found = stretches_of(question.fd->get(), question.offset, question.length, question.most);
    answer(std::move(question), std::move(found));
  }
}

void HoleFinder::answer(Question question, std::vector<Stretch> found) {
  loop_.post([alive = alive_, done = std::move(question.done), found = std::move(found)]() mutable {
    if (*alive) done(std::move(found));
  });
}

}  // namespace lockstep
