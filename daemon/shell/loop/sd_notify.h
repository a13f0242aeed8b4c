// Tells systemd how far this service is (sd_notify(3)), without its library.
#pragma once

#include <string_view>

#include "base/result.h"

namespace lockstep {

// `state` as in sd_notify(3): "READY=1", "STOPPING=1", "STATUS=text", several with a newline between. Nothing
// happens, and nothing fails, when the process was not started by systemd. Never blocks.
Result<void> sd_notify(std::string_view state);

}  // namespace lockstep
