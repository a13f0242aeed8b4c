#include "tools/cli/commands.h"

#include <fmt/format.h>

namespace lockstep::cli {

namespace {

using enum Target;

// clang-format off
const std::vector<CommandSpec> kCommands = {
  {"create-md", required, Runs::here, "force|digests", "write fresh metadata (--digests: with room for the digests of all blocks)"},
  {"dump-md", required, Runs::here, "json", "show the metadata"},
  {"wipe-md", required, Runs::here, "force", "remove the metadata"},
  {"move-md", required, Runs::here, "from=|former-size=|force", "move the metadata to where the configuration wants it, or to the end of a device that has grown"},
  {"dump", optional, Runs::here, "", "print the configuration as it is understood"},
  {"up", required, Runs::in_daemon, "", "attach the disk and connect"},
  {"down", required, Runs::in_daemon, "", "disconnect and release the disk"},
  {"adjust", required, Runs::in_daemon, "", "bring what runs in line with the configuration"},
  {"connect", required, Runs::in_daemon, "discard-my-data", "connect to the peers", true},
  {"disconnect", required, Runs::in_daemon, "", "disconnect from the peers", true},
  {"attach", required, Runs::in_daemon, "", "attach the disk"},
  {"detach", required, Runs::in_daemon, "", "release the disk"},
  {"primary", required, Runs::in_daemon, "force", "make this node Primary"},
  {"secondary", required, Runs::in_daemon, "", "make this node Secondary"},
  {"new-current-uuid", required, Runs::in_daemon, "clear-bitmap", "declare fresh disks identical (--clear-bitmap)"},
  {"invalidate", required, Runs::in_daemon, "", "give up this copy and resync it from a peer"},
  {"invalidate-remote", required, Runs::in_daemon, "", "give up the peer's copy and resync it from here", true},
  {"outdate", required, Runs::in_daemon, "", "mark this copy Outdated"},
  {"verify", required, Runs::in_daemon, "start=|stop=|cancel|wait|repair|from=", "compare the copies, block by block", true},
  {"pause-sync", required, Runs::in_daemon, "", "pause a resync", true},
  {"resume-sync", required, Runs::in_daemon, "", "let a paused resync go on", true},
  {"resize", required, Runs::in_daemon, "size=|assume-clean|shrink",
   "let the volume grow to --size, or as far as the disks allow; with --shrink, give up what lies behind --size"},
  {"suspend-io", required, Runs::in_daemon, "", "freeze I/O"},
  {"resume-io", required, Runs::in_daemon, "", "let I/O go on"},
  {"status", optional, Runs::in_daemon, "json", "show resources, disks, peers"},
  {"events", optional, Runs::in_daemon, "json|now", "show changes as they happen"},
  {"role", required, Runs::in_daemon, "", "this node's role"},
  {"cstate", required, Runs::in_daemon, "", "connection states, one line a peer", true},
  {"dstate", required, Runs::in_daemon, "", "disk states own/peer, one line a peer", true},
  {"show-gi", required, Runs::in_daemon, "", "identities and generations"},
  {"explain", required, Runs::in_daemon, "", "why not: explain RESOURCE [promote|io|resync]"},
  {"clients", required, Runs::in_daemon, "json", "who uses the exports over NBD, and what they wait for"},
  {"wait-connect", required, Runs::waits, "timeout=", "wait until every data peer is Connected"},
  {"wait-sync", required, Runs::waits, "timeout=", "wait until every disk is UpToDate (Consistent, under protocol A or B) and nothing is out of sync"},
};
// clang-format on

}  // namespace

const std::vector<CommandSpec>& all_commands() { return kCommands; }

const CommandSpec* find_command(std::string_view name) {
  for (const CommandSpec& spec : kCommands) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

std::string help_text() {
  std::string out =
      "Usage: lockstep COMMAND [RESOURCE[/VOLUME][:PEER] | all] [options]\n\n"
      "Options, before or after the command:\n"
      "  -c, --config FILE   configuration (LOCKSTEP_CONFIG; /etc/lockstep/lockstep.conf)\n"
      "      --node NAME     act as this node (LOCKSTEP_NODE; the host name)\n"
      "      --run-dir DIR   where the daemon's control.sock is (LOCKSTEP_RUN_DIR; /run/lockstep)\n"
      "  -h, --help          this text\n"
      "      --version       the version\n\nCommands:\n";
  for (const CommandSpec& spec : kCommands) {
    std::string options;
    std::string_view rest = spec.options;
    while (!rest.empty()) {
      const size_t bar = rest.find('|');
      std::string_view name = rest.substr(0, bar);
      const bool value = name.back() == '=';
      if (value) name.remove_suffix(1);
      options += fmt::format(" [--{}{}]", name, !value ? "" : name == "from" ? " NODE" : " S");
      rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
    }
    out += fmt::format("  {:<18} {}{}\n", spec.name, spec.help, options);
  }
  out +=
      "\nExit status: 0 done; 1 usage; 5 waited too long; 10 bad configuration; 11 state change refused;\n"
      "16 no local disk; 17 no UpToDate data; 20 any other failure.\n";
  return out;
}

}  // namespace lockstep::cli
