// Any line as a control request and as an answer.
#include <cstdint>
#include <string_view>

#include "control/control_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto request = lockstep::parse_request(line);
  if (const auto* parsed = std::get_if<lockstep::ControlRequest>(&request)) {
    lockstep::format_request(*parsed);
    if (parsed->flag("force") && parsed->command.empty()) __builtin_trap();
  }
  lockstep::parse_line(line);
  return 0;
}
