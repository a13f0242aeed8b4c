// wait-connect and wait-sync: look at the status until it is as wanted, with a progress line on a terminal.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/cli/arguments.h"

namespace lockstep::cli {

// Of one resource in `status --json`.
bool all_connected(const nlohmann::json& resource);
bool all_in_sync(const nlohmann::json& resource);
// "r0: 39.4% in sync, 118.0 MiB/s, 0:12 left"
std::string progress_line(const nlohmann::json& resource);

// Exit status: 0, 5 after --timeout seconds, or the daemon's.
// After `verify`, with --wait: until no comparison runs. 0: nothing differs; 20: something does, or it could not be compared to the end.
int wait_for_verify(const Arguments& arguments, const std::string& resource);
int run_wait_command(const Arguments& arguments, const std::string& resource);

}  // namespace lockstep::cli
