// The log: lines on standard error, "LEVEL resource: message [reason-code]". Under systemd with the journal's
// priority in front ("<4>"), otherwise with the time (UTC) and the program's name. The words are stable:
// people match on them. A line is one write(), so that threads and processes do not mix theirs; control
// characters in it become '?', so that what a peer or client sent cannot forge a line. From any thread, once
// log_to() is done.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep {

enum class LogLevel : uint8_t { error, warning, notice, info, debug };

// Once, at the start. Less urgent lines than `most` are not written.
void log_to(int fd, std::string_view program, LogLevel most);
bool log_wants(LogLevel level);

// `resource` and `reason` may be empty and are then left out together with their punctuation.
void log_line(LogLevel level, std::string_view resource, std::string_view message, std::string_view reason = {});

// The same with a format: log_format(LogLevel::info, "r0", reason, "peer {} connected", name).
template <class... Args>
void log_format(LogLevel level, std::string_view resource, std::string_view reason, fmt::format_string<Args...> format,
                Args&&... args) {
  if (log_wants(level)) log_line(level, resource, fmt::format(format, std::forward<Args>(args)...), reason);
}

// What log_line() writes after the prefix and before the newline.
std::string log_text(LogLevel level, std::string_view resource, std::string_view message, std::string_view reason);

}  // namespace lockstep
