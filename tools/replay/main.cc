// lockstep-replay: runs what a daemon recorded through the same core, and compares the two.
#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>
#include <vector>

#include "base/check.h"
#include "flight/describe.h"
#include "flight/player.h"
#include "tools/replay/final_state.h"
#include "tools/replay/printer.h"

namespace lockstep::replay {
namespace {

constexpr int kSame = 0, kDiffers = 1, kUnreadable = 2;

struct Options {
  std::string file;
  uint64_t from = 0;
  uint64_t to = UINT64_MAX;
  Detail detail = Detail::none;
};

// A failed CHECK of the core ends this program as it ended the daemon: where, is told here.
std::optional<uint64_t> stepping;
void on_check(const char* file, int line, const char* what) {
  std::fflush(stdout);
  fmt::print(stderr, "lockstep-replay: CHECK({}) failed at {}:{} in the step of event {}\n", what, file, line,
             stepping.value_or(0));
}

std::optional<std::vector<std::byte>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    fmt::print(stderr, "lockstep-replay: cannot open {}: {}\n", path, std::strerror(errno));
    return std::nullopt;
  }
  std::vector<std::byte> bytes(static_cast<size_t>(file.tellg()));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
    fmt::print(stderr, "lockstep-replay: cannot read {}: {}\n", path, std::strerror(errno));
    return std::nullopt;
  }
  return bytes;
}

void print_head(const flight::Player& player, const Printer& printer) {
  const flight::About& about = player.about();
  fmt::print("resource {} on {}, recorded by {} from {} on\n", about.resource, about.node, about.version,
             printer.time_of(about.begun));
  if (about.version != "lockstepd " LOCKSTEP_VERSION && about.version != "simulator")
    fmt::print("this is lockstep-replay " LOCKSTEP_VERSION ": another version may come to another state\n");
  for (const auto& [seat, name] : about.names) fmt::print("  {} is {}\n", describe(seat), name);
}

int verdict(const flight::Player& player, uint64_t last, bool stopped) {
  if (const auto& difference = player.difference()) {
    fmt::print("differs after event {}: {}\n", difference->event, difference->what);
    return kDiffers;
  }
  if (!player.damage().empty()) {
    fmt::print(stderr, "lockstep-replay: after event {} the recording cannot be read on: {}\n", last, player.damage());
    return kUnreadable;
  }
  if (!player.replays()) {
    fmt::print(
        stderr,
        "lockstep-replay: the recording's beginning is gone (the ring came round): it can be shown (--story, --trace) and not be "
        "replayed. A larger flight-recorder-size keeps more.\n");
    return kUnreadable;
  }
  if (stopped) {
    fmt::print("the same so far, {} digests compared\n", player.states_compared());
    return kSame;
  }
  fmt::print("ends in the same state, {} digests compared; {}\n", player.states_compared(),
             player.closed() ? "the resource went down in order"
                             : "the recording was cut off here (the daemon was killed, or still runs)");
  return kSame;
}

int run(const Options& options) {
  const auto bytes = read_file(options.file);
  if (!bytes) return kUnreadable;
  auto opened = flight::Player::open(*bytes);
  if (!opened) {
    fmt::print(stderr, "lockstep-replay: {}: {}\n", options.file, opened.error().where);
    return kUnreadable;
  }
  flight::Player player = std::move(opened).value();
  const Printer printer(options.detail, player.about());
  print_head(player, printer);
  uint64_t last = 0;
  bool stopped = false;
  set_check_hook(&on_check);
  stepping = 0;
  while (const auto step = player.next()) {
    if (step->number > options.to) {
      stopped = true;
      break;
    }
    last = step->number;
    stepping = last + 1;
    if (last >= options.from) printer.print(*step);
  }
  fmt::print("{} events, up to {} at {}\n", player.steps(), last, printer.time_of(player.now()));
  if (player.replays()) fmt::print("{}", final_state(player.replica(), player.now()));
  return verdict(player, last, stopped);
}

}  // namespace
}  // namespace lockstep::replay

int main(int argc, char** argv) {
  namespace po = boost::program_options;
  lockstep::replay::Options options;
  po::options_description visible(
      "Usage: lockstep-replay FILE [options]\n"
      "Runs a recording of lockstepd through the same core. Exit status: 0 the same state, 1 it differs, 2 it cannot be read or "
      "replayed");
  auto add = visible.add_options();
  add("help,h", "this text");
  add("version", "the version");
  add("from", po::value(&options.from), "print from this event on");
  add("to", po::value(&options.to), "stop after this event");
  add("story", "print what people ask for: notices, roles, tenures, commands, links, failures");
  add("trace", "print every event and effect");
  po::options_description all;
  all.add(visible).add_options()("file", po::value(&options.file));
  po::positional_options_description place;
  place.add("file", 1);
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(all).positional(place).run(), given);
    po::notify(given);
  } catch (const po::error& error) {
    std::cerr << "lockstep-replay: " << error.what() << "\n" << visible;
    return 2;
  }
  if (given.count("help") != 0) return std::cout << visible, 0;
  if (given.count("version") != 0) return std::cout << "lockstep-replay " LOCKSTEP_VERSION "\n", 0;
  if (options.file.empty()) return std::cerr << "lockstep-replay: which file?\n" << visible, 2;
  if (given.count("story") != 0) options.detail = lockstep::replay::Detail::story;
  if (given.count("trace") != 0) options.detail = lockstep::replay::Detail::trace;
  return lockstep::replay::run(options);
}
