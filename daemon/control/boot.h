// Names this run of the machine: the kernel's boot id mixed with a token in the run-dir, which a tmpfs forgets at a reboot.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace lockstep {

// Creates the directory if it is missing.
Result<void> prepare_run_dir(const std::string& run_dir);
// The token is made at first use. Dropping it (RUNDIR/boot-token) ends this boot as far as leases and fences are concerned.
Result<Boot> this_boot(const std::string& run_dir);

}  // namespace lockstep
