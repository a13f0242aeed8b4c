// lockstep-scenario FILE...: plays stories and compares what they print with what they say.
#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <fstream>
#include <iostream>

#include "base/check.h"
#include "scenario/player.h"
#include "scenario/story.h"
#include "sim/mutant_run.h"
#include "sim/mutants.h"
#include "tools/command_line.h"

namespace po = boost::program_options;

namespace lockstep::scenario {
namespace {

struct Options {
  std::vector<std::string> files;
  uint64_t seeds = 3;
  bool rewrite = false;
  bool trace = false;
};

struct Played {
  Story story;         // with what was printed as what is expected
  std::string broken;  // promises, by the oracle
};

Played play(const Story& story, uint64_t seed, bool trace) {
  Played played{story, {}};
  Player player(seed, trace);
  for (Step& step : played.story.steps) {
    step.expected.clear();
    for (const std::string& command : step.commands) {
      try {
        step.expected += player.play(command);
      } catch (const std::runtime_error& error) {
        throw std::runtime_error(fmt::format("{}:{}: {}: {}", story.name, step.line, command, error.what()));
      }
    }
  }
  played.story.steps.back().expected += player.finish();
  for (const sim::Violation& v : player.violations()) played.broken += " " + v.promise;
  return played;
}

void print_lines(char mark, const std::string& text) {
  size_t from = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; from = end + 1, end = text.find('\n', from))
    fmt::print("  {} {}\n", mark, text.substr(from, end - from));
}

bool compare(const Story& expected, const Played& played, uint64_t seed) {
  bool same = true;
  for (size_t i = 0; i < expected.steps.size(); ++i) {
    const Step& wanted = expected.steps[i];
    const Step& got = played.story.steps[i];
    if (wanted.expected == got.expected) continue;
    same = false;
    fmt::print("{}:{} (seed {}):\n", expected.name, wanted.line, seed);
    for (const std::string& command : wanted.commands) fmt::print("    {}\n", command);
    print_lines('-', wanted.expected);
    print_lines('+', got.expected);
  }
  return same;
}

// With the rule broken, some seed has to end otherwise, and where a promise is named its checker has to notice.
bool notices(const Story& story, const std::string& mark, uint64_t seeds) {
  const size_t space = mark.find(' ');
  const std::string name = mark.substr(0, space);
  const std::string promise = space == std::string::npos ? "" : mark.substr(space) + " ";
  const auto mutant = sim::mutant_named(name);
  if (!mutant) throw std::runtime_error(fmt::format("{}: no mutant '{}'", story.name, name));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    sim::active_mutant = *mutant;
    const Played played = play(story, seed, false);
    sim::active_mutant = sim::Mutant::none;
    bool same = true;
    for (size_t i = 0; i < story.steps.size(); ++i) same = same && story.steps[i].expected == played.story.steps[i].expected;
    if (same || (played.broken + " ").find(promise) == std::string::npos) continue;
    fmt::print("{}: notices {}{}{}\n", story.name, name, played.broken.empty() ? "" : ", broken:", played.broken);
    return true;
  }
  fmt::print("{}: DOES NOT NOTICE {}\n", story.name, mark);
  return false;
}

bool run(const std::string& file, const Options& options) {
  Story story = read_story(file);
  if (options.rewrite) {
    story = play(story, 1, false).story;
    std::ofstream out(file);
    out << text_of(story) << std::flush;
    if (!out) throw std::runtime_error(fmt::format("{}: cannot be written", file));
  }
  bool good = true;
  for (uint64_t seed = 1; seed <= options.seeds; ++seed) good = compare(story, play(story, seed, options.trace), seed) && good;
  // What the true rules do must be right before it says anything about broken ones.
  for (const std::string& mutant : story.mutants) good = good && notices(story, mutant, options.seeds);
  fmt::print("{}: {}\n", story.name, good ? "as told" : "NOT AS TOLD");
  return good;
}

// A story that breaks the core's own checks is told of by its line, as any other that cannot be played.
[[noreturn]] void on_check(const char* file, int line, const char* what) {
  throw std::runtime_error(fmt::format("CHECK({}) failed at {}:{}", what, file, line));
}

int run(const Options& options) {
  set_check_hook(&on_check);
  bool good = true;
  for (const std::string& file : options.files) good = run(file, options) && good;
  return good ? 0 : 1;
}

po::options_description describe_options(Options& options) {
  po::options_description description("lockstep-scenario FILE...: stories on a simulated cluster");
  auto add = description.add_options();
  add("help", "this text");
  add("seeds", number<uint64_t>("seeds", options.seeds, 1)->default_value("3"),
      "each story with so many draws of delays, clocks and identities");
  add("rewrite", po::bool_switch(&options.rewrite), "write what is printed into the file");
  add("trace", po::bool_switch(&options.trace), "print every event and effect");
  add("file", po::value(&options.files), "stories");
  return description;
}

}  // namespace
}  // namespace lockstep::scenario

int main(int argc, char** argv) {
  lockstep::scenario::Options options;
  const po::options_description description = lockstep::scenario::describe_options(options);
  po::positional_options_description positional;
  positional.add("file", -1);
  try {
    const po::variables_map given = lockstep::read_command_line(argc, argv, description, positional);
    if (given.count("help") != 0) {
      std::cout << description;
      return 0;
    }
    if (options.files.empty()) throw po::error("which stories? Name one FILE or more");
    return lockstep::scenario::run(options);
  } catch (const po::error& error) {
    std::cerr << "lockstep-scenario: " << error.what() << "; see lockstep-scenario --help\n";
  } catch (const std::exception& error) {
    std::cerr << "lockstep-scenario: " << error.what() << "\n";
  }
  return 2;
}
