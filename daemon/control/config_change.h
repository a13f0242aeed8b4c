// What a changed configuration may do to a resource, and why it may not. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "control/config/model.h"
#include "control/control_protocol.h"
#include "core/tenure.h"

namespace lockstep {

// Refuses (11) a configuration whose voters are not those that the tenure names; exit status 0 when they are. Changing the voters needs
// rounds in which the old and the new ones agree; until those are built, such a configuration is refused and not half believed.
// `before` (or null) is what the resource runs with: it may know the name of a voter that `wanted` has no more.
ControlReply voters_unchanged(const config::Resource& wanted, const config::Resource* before, const Tenure& tenure);

// The resource without what concerns other nodes only (their disks, exports and options): a change there restarts nothing here.
config::Resource as_seen_by(config::Resource resource, std::string_view node);

// What differs, in the words of the configuration and never with its values, which may be secrets: "ping-int, witness delta".
std::string changed_words(const config::Resource& before, const config::Resource& wanted);

// A Primary is not restarted behind the back of whoever relies on it. `wanted`: null when the configuration has the resource no more.
ControlReply restart_refused(const config::Resource& before, const config::Resource* wanted);

}  // namespace lockstep
