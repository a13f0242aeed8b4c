// Commands that are known and do nothing yet: what to do instead. One exit status for all of them.
#pragma once

#include <string>
#include <string_view>

#include "control/control_protocol.h"

namespace lockstep {

ControlReply not_built_yet(const std::string& resource, std::string_view command);

}  // namespace lockstep
