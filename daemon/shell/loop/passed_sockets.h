// Sockets that systemd listens on for us (sd_listen_fds(3)), without its library. Kept open for the life of the process: a resource that goes
// down and comes up again finds its socket as it was, with those who wait in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shell/loop/unique_fd.h"

namespace lockstep {

// What the environment says was passed to this process; takes that out of the environment, for it is not meant for children. Once, before
// there are threads. Gives how many there are.
size_t adopt_passed_sockets();

// Copies of those with that name (FileDescriptorName= of the .socket unit), non-blocking, that are stream sockets which listen.
std::vector<UniqueFd> passed_sockets(std::string_view name);

}  // namespace lockstep
