// Where NBD clients come in: the sockets behind an `nbd` address, and how a client is told of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "shell/loop/unique_fd.h"
#include "shell/resource/settings.h"

namespace lockstep {

// Listening, non-blocking. Several only for sockets of systemd. A unix socket that a dead daemon left is replaced; one that somebody listens on
// is not (EADDRINUSE).
Result<std::vector<UniqueFd>> listen_for_clients(const NbdAddress& address);

// As in the configuration.
std::string to_text(const NbdAddress& address);

// NBD URIs of an export [doc/uri.md of the NBD project], one for each address, as far as it can be named: `node` stands for an address that is
// any of the machine's.
std::vector<std::string> nbd_uris(const std::vector<NbdAddress>& addresses, nbd::TlsPolicy tls, std::string_view node,
                                  std::string_view name);

}  // namespace lockstep
