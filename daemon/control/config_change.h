// What a changed configuration may do to a resource, and why it may not. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "control/config/model.h"
#include "control/control_protocol.h"
#include "core/tenure.h"

namespace lockstep {

// Refuses (11) a configuration whose data nodes are not those that the tenure names; exit status 0 when they are. Witnesses may join and
// leave: the Primary seats them when every data node is there. For data nodes that is not built: such a configuration is refused and not
// half believed. A history that was forced lacks the seats of nodes that were away.
// `before` (or null) is what the resource runs with: it may know the name of a voter that `wanted` has no more.
ControlReply voters_unchanged(const config::Resource& wanted, const config::Resource* before, const Tenure& tenure);

// Refuses (11) a configuration that names other voters than the resource runs with: `up` on a resource that is up takes nothing over.
ControlReply voters_as_running(const config::Resource& wanted, const config::Resource& running);

// The resource without what concerns other nodes only (their disks, exports and options): a change there restarts nothing here.
config::Resource as_seen_by(config::Resource resource, std::string_view node);

// What differs, in the words of the configuration and never with its values, which may be secrets: "ping-int, witness delta".
std::string changed_words(const config::Resource& before, const config::Resource& wanted);

// A Primary is not restarted behind the back of whoever relies on it. `wanted`: null when the configuration has the resource no more.
ControlReply restart_refused(const config::Resource& before, const config::Resource* wanted);

}  // namespace lockstep
