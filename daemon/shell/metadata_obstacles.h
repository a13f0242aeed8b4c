// What stands where metadata would be written.
#pragma once

#include <string>

#include "base/result.h"
#include "meta/layout.h"
#include "shell/metadata_tool.h"

namespace lockstep {

// Empty when nothing is in the way; else lines for a person. `moving`: Lockstep's metadata on the data device is what is being moved.
Result<std::string> find_obstacles(const MetadataTarget& target, const Layout& layout, bool moving = false);

}  // namespace lockstep
