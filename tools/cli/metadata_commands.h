// create-md, dump-md, wipe-md and move-md: without a daemon.
#pragma once

#include "control/config/model.h"
#include "control/control_protocol.h"
#include "tools/cli/arguments.h"

namespace lockstep::cli {

// For one resource of which this node is a host, and all its volumes: their metadata lies together.
ControlReply run_metadata_command(const Arguments& arguments, const config::Resource& resource, const config::Host& host);

}  // namespace lockstep::cli
