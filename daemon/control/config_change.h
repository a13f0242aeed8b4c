// What a changed configuration may do to a resource, and why it may not. Pure functions.
#pragma once

#include <string>

#include "control/config/model.h"
#include "control/control_protocol.h"
#include "core/tenure.h"

namespace lockstep {

// Refuses (11) a configuration whose voters are not those that the tenure names; exit status 0 when they are. Changing the voters needs
// rounds in which the old and the new ones agree; until those are built, such a configuration is refused and not half believed.
// `before` (or null) is what the resource runs with: it may know the name of a voter that `wanted` has no more.
ControlReply voters_unchanged(const config::Resource& wanted, const config::Resource* before, const Tenure& tenure);

}  // namespace lockstep
