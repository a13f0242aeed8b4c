// The command line of `lockstep`, taken apart by hand: options may stand anywhere, and which ones a command
// has is in its row of the command table, which Boost.Program_options cannot express without parsing twice.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/cli/commands.h"

namespace lockstep::cli {

struct TargetName {
  std::string resource;  // empty: all
  std::optional<uint16_t> volume;
  std::string peer;
  bool all = false;
};

struct Arguments {
  std::string config = "/etc/lockstep/lockstep.conf";
  bool config_given = false;
  std::string node;
  std::string run_dir = "/run/lockstep";
  const CommandSpec* command = nullptr;
  TargetName target;
  std::string topic;                           // of explain
  std::map<std::string, std::string> options;  // of the command; a flag has an empty value

  bool flag(const std::string& name) const { return options.contains(name); }
};

// What is printed instead of running a command: help, the version, or a usage error.
struct Instead {
  int exit_status = 0;
  std::string out;
  std::string err;
};

// argv without the program's name. The environment's LOCKSTEP_* are the defaults.
std::variant<Arguments, Instead> parse_arguments(const std::vector<std::string>& words);

// RESOURCE[/VOLUME][:PEER], or DRBD's RESOURCE:PEER/VOLUME. Nothing when it is neither.
std::optional<TargetName> parse_target(std::string_view text);

}  // namespace lockstep::cli
