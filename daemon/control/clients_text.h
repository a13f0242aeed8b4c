// NBD clients of a resource, for people and for programs: `lockstep clients R [--json]`.
#pragma once

#include <string>
#include <vector>

#include "shell/resource/client_account.h"

namespace lockstep {

std::string clients_text(const std::string& resource, const std::vector<ClientView>& all);
// One object: name, and clients, an array with one entry a connection.
std::string clients_json_text(const std::string& resource, const std::vector<ClientView>& all);

}  // namespace lockstep
