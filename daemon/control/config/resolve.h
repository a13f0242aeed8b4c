// Internal to daemon/control/config: see resolve.cc and check.cc.
#pragma once

#include "control/config/draft.h"

namespace lockstep::config {

Config resolve(const Drafts& drafts, Complaints& complaints);
// Addresses, sockets and disks that two would use on one host.
void check_shared_use(const Drafts& drafts, Complaints& complaints);

}  // namespace lockstep::config
