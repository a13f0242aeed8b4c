#include "shell/loop/limited_log.h"

#include <algorithm>

namespace lockstep {

LimitedLog::~LimitedLog() {
  if (interval_.value != 0) loop_.cancel(interval_);
}

void LimitedLog::line(LogLevel level, std::string_view message, std::string_view reason) {
  if (!log_wants(level)) return;
  if (interval_.value == 0) interval_ = loop_.call_at(loop_.now() + budget_.interval, [this] { interval_ends(); });
  if (written_ < budget_.lines) {
    ++written_;
    return log_line(level, resource_, message, reason);
  }
  level_ = suppressed_ == 0 ? level : std::min(level_, level);
  ++suppressed_;
}

void LimitedLog::interval_ends() {
  interval_ = {};
  written_ = 0;
  const uint64_t suppressed = std::exchange(suppressed_, 0);
  if (suppressed > 0) log_format(level_, resource_, "", "{}: {} more suppressed", what_, suppressed);
}

}  // namespace lockstep
