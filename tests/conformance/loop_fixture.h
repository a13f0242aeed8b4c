// What the conformance tests share: engines, turning a loop until something is so, scratch files, and loop
// devices and small file systems where we are root.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "shell/event_loop.h"

namespace lockstep::conformance {

inline std::string name_of(IoEngine engine) { return engine == IoEngine::io_uring ? "io_uring" : "libaio"; }

// Null, and the reason in `why`, where this machine forbids the engine.
inline std::unique_ptr<EventLoop> make_loop(IoEngine engine, std::string& why) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create(engine);
  if (loop.ok()) return std::move(loop).value();
  why = std::string(loop.error().where) + ": errno " + std::to_string(loop.error().os);
  return nullptr;
}

// Turns the loop until `reached`, at most `longest`. False on time-out.
inline bool run_until(EventLoop& loop, const std::function<bool()>& reached, Duration longest = seconds(20)) {
  const Instant end = loop.now() + longest;
  while (!reached()) {
    if (loop.now() >= end) return false;
    loop.run_once(milliseconds(50));
  }
  return true;
}

// Runs a command of the system; true when it succeeded.
inline bool run_command(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

// A new directory below `parent`, removed with what is in it.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& parent) : path_(parent + "/lockstep-conformance-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~ScratchDirectory() {
    if (!path_.empty()) run_command("rm -rf --one-file-system '" + path_ + "'");
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs `undo` at the end of a scope.
class Finally {
 public:
  explicit Finally(std::function<void()> undo) : undo_(std::move(undo)) {}
  ~Finally() { undo_(); }
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;

 private:
  std::function<void()> undo_;
};

// A loop device over `file`; empty when we may not or there is none.
std::string attach_loop_device(const std::string& file);
void detach_loop_device(const std::string& device);

}  // namespace lockstep::conformance
