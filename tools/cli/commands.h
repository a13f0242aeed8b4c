// The commands as data: what each takes, and one line of help. Drives the parser, --help and "did you mean".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

enum class Target : uint8_t { none, optional, required };
enum class Runs : uint8_t { here, in_daemon, waits };

struct CommandSpec {
  std::string_view name;
  Target target;
  Runs runs;
  std::string_view options;  // names, separated by '|'; a '=' after a name: it takes a value
  std::string_view help;
  bool takes_peer = false;  // RESOURCE:PEER means that peer alone
};

const std::vector<CommandSpec>& all_commands();
const CommandSpec* find_command(std::string_view name);
std::string help_text();

}  // namespace lockstep::cli
