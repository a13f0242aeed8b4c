// lockstep-replay: runs what a daemon recorded through the same core, and compares the two.
#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <optional>
#include <vector>

#include "base/check.h"
#include "flight/describe.h"
#include "flight/player.h"
#include "tools/command_line.h"
#include "tools/replay/final_state.h"
#include "tools/replay/printer.h"

namespace po = boost::program_options;

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

// A directory can be opened, and then has a size that no memory holds; a pipe or a device has none.
bool is_regular_file(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::regular) return true;
  if (type == std::filesystem::file_type::directory) {
    fmt::print(stderr, "lockstep-replay: {} is a directory: name a recording in it (*.flight)\n", path);
  } else if (error) {
    fmt::print(stderr, "lockstep-replay: cannot open {}: {}\n", path, error.message());
  } else {
    fmt::print(stderr, "lockstep-replay: {} is not a regular file: copy the recording into one\n", path);
  }
  return false;
}

std::optional<std::vector<std::byte>> read_file(const std::string& path) try {
  if (!is_regular_file(path)) return std::nullopt;
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
} catch (const std::bad_alloc&) {
  fmt::print(stderr, "lockstep-replay: {} is larger than this machine's memory\n", path);
  return std::nullopt;
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
  const int found = verdict(player, last, stopped);
  if (found != kSame || stopped || options.from <= last) return found;
  fmt::print(stderr, "lockstep-replay: nothing to print: the recording ends with event {}, before --from {}\n", last,
             options.from);
  return kUnreadable;
}

po::options_description describe_options(Options& options) {
  po::options_description visible(
      "Usage: lockstep-replay FILE [options]\n"
      "Runs a recording of lockstepd through the same core. Exit status: 0 the same state, 1 it differs, 2 it cannot be read or "
      "replayed");
  auto add = visible.add_options();
  add("help,h", "this text");
  add("version", "the version");
  add("from", number<uint64_t>("from", options.from, 0), "with --story or --trace: print from this event on");
  add("to", number<uint64_t>("to", options.to, 0), "stop after this event");
  add("story", "print what people ask for: notices, roles, tenures, commands, links, failures");
  add("trace", "print every event and effect");
  return visible;
}

void check_options(const po::variables_map& given, Options& options) {
  if (options.file.empty()) throw po::error("which file?");
  if (given.count("story") != 0) options.detail = Detail::story;
  if (given.count("trace") != 0) options.detail = Detail::trace;
  if (given.count("from") != 0 && options.detail == Detail::none)
    throw po::error("--from says where --story or --trace begins: give one of them too");
  if (options.from > options.to)
    throw po::error(fmt::format("--from {} is beyond --to {}: nothing lies between them", options.from, options.to));
}

}  // namespace
}  // namespace lockstep::replay

int main(int argc, char** argv) {
  lockstep::replay::Options options;
  const po::options_description visible = lockstep::replay::describe_options(options);
  po::options_description all;
  all.add(visible).add_options()("file", po::value(&options.file));
  po::positional_options_description place;
  place.add("file", 1);
  try {
    const po::variables_map given = lockstep::read_command_line(argc, argv, all, place);
    if (given.count("help") != 0) return std::cout << visible, 0;
    if (given.count("version") != 0) return std::cout << "lockstep-replay " LOCKSTEP_VERSION "\n", 0;
    lockstep::replay::check_options(given, options);
  } catch (const po::error& error) {
    std::cerr << "lockstep-replay: " << error.what() << "; see lockstep-replay --help\n";
    return 2;
  }
  return lockstep::replay::run(options);
}
