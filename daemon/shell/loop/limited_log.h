// Log lines that a stranger can cause at will: some in an interval, then one line that says how many more there were.
// Belongs to one loop and its thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "shell/event_loop.h"
#include "shell/loop/log.h"

namespace lockstep {

struct LogBudget {
  uint32_t lines = 10;
  Duration interval = seconds(60);
};

class LimitedLog {
 public:
  // `what` the lines are about, for the line that stands for those left out: "NBD clients turned away".
  LimitedLog(EventLoop& loop, std::string resource, std::string what, LogBudget budget = {})
      : loop_(loop), resource_(std::move(resource)), what_(std::move(what)), budget_(budget) {}
  ~LimitedLog();
  LimitedLog(const LimitedLog&) = delete;
  LimitedLog& operator=(const LimitedLog&) = delete;

  void line(LogLevel level, std::string_view message, std::string_view reason = {});

 private:
  void interval_ends();

  EventLoop& loop_;
  std::string resource_;
  std::string what_;
  LogBudget budget_;
  TimerId interval_;  // set: an interval has begun
  uint32_t written_ = 0;
  uint64_t suppressed_ = 0;
  LogLevel level_ = LogLevel::info;  // the most urgent of those left out
};

}  // namespace lockstep
