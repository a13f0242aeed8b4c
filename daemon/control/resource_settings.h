// From the configuration's words to a resource's settings.
#pragma once

#include "base/result.h"
#include "control/config/model.h"
#include "shell/resource/settings.h"

namespace lockstep {

// `flight_directory` is as the configuration has it: "on" and "off" are left to the caller, who knows the run-dir.
Result<ResourceSettings> settings_for(const config::Resource& resource, const config::Host& self, Boot boot, IoEngine engine);

// The other nodes and the witnesses, as links to them need it.
std::vector<PeerSettings> peers_of(const config::Resource& resource, Seat self);

}  // namespace lockstep
