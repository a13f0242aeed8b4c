// Who is at the other end of a client's socket. Connections of one client may all write; connections of two may not (client_port.h).
#pragma once

#include <string>

namespace lockstep {

// "uid 1000" of a unix socket, by whom connect() was called (names are not looked up: that may take long); else the address without its port,
// "10.1.1.7"; "vm 3" of AF_VSOCK, by its CID. For people to read, and equal for connections of one client. "unknown" where the kernel does not say, which is a client like any other.
std::string client_identity(int fd);

}  // namespace lockstep
