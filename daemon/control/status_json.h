// `status --json`: drbdsetup's keys where DRBD has them, ours (tenure, voters, reason) beside them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control/status.h"

namespace lockstep {

nlohmann::ordered_json status_json(const ResourceStatus& status);
// The array that `status --json` prints, with its newline.
std::string status_json_text(const std::vector<ResourceStatus>& all);

}  // namespace lockstep
