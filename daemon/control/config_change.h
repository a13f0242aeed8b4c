// What a changed configuration may do to a resource, and why it may not. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "control/config/model.h"
#include "control/control_protocol.h"

namespace lockstep {

// Refuses (11) a configuration that makes another resource of this one: nodes were added, replaced or renamed, and the id was derived from them.
ControlReply id_unchanged(const config::Resource& running, const config::Resource& wanted);

// Refuses (11) a configuration in which more than one node or witness has the place of another: a place (a node-id, or the rank of a witness in the
// file) is a vote, and a majority has to know one who votes there before the next is replaced.
ControlReply one_place_at_a_time(const config::Resource& running, const config::Resource& wanted);

// Nothing is different but which other nodes and witnesses there are, and where: that is taken over while the resource runs.
bool only_nodes_differ(const config::Resource& before, const config::Resource& wanted, std::string_view node);

// Refuses (11) a configuration that names other voters than the resource runs with: `up` on a resource that is up takes nothing over.
ControlReply voters_as_running(const config::Resource& wanted, const config::Resource& running);

// The resource without what concerns other nodes only (their disks, exports and options): a change there restarts nothing here.
config::Resource as_seen_by(config::Resource resource, std::string_view node);

// What differs, in the words of the configuration and never with its values, which may be secrets: "ping-int, witness delta".
std::string changed_words(const config::Resource& before, const config::Resource& wanted);

// A Primary is not restarted behind the back of whoever relies on it. `wanted`: null when the configuration has the resource no more.
ControlReply restart_refused(const config::Resource& before, const config::Resource* wanted);

}  // namespace lockstep
