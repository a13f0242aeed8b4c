// What stands where metadata would be written.
#pragma once

#include <string>

#include "base/result.h"
#include "meta/layout.h"
#include "shell/metadata_tool.h"

namespace lockstep {

// Metadata that exists is moved there: what is on the data device is the volume's content, and some of what is found may be it.
struct Moving {
  bool volume_known = false;  // and the data area is large enough for it
  bool from_data_device = false;
  bool begun_before = false;  // what is at the new place was left by an interrupted move
};

// Empty when nothing is in the way; else lines for a person.
Result<std::string> find_obstacles(const MetadataTarget& target, const Layout& layout, const Moving& moving = {});

}  // namespace lockstep
