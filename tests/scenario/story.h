// A story in a text file: commands, and under each what they print. Read by people, run by lockstep-scenario.
//
//   # What it tells, and which bug or hole it guards against.
//   # mutant: ack_without_peers      (a broken rule that this story must notice; any number of them)
//   # mutant: late_fence_counts P8   (by the checker of that promise)
//
//   cluster witnesses=1              a step: one or more commands ...
//   promote a
//   ----
//   a is Primary                     ... what they print (nothing: the next line is empty), then an empty
//   line
//
// The form is that of SQLite's and CockroachDB's data-driven tests: what is expected is rewritten in place by
// --rewrite and read in the diff.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lockstep::scenario {

struct Step {
  size_t line = 0;  // in its file, of the first command
  std::vector<std::string> commands;
  std::string expected;  // ends with a newline, or is empty
};

struct Story {
  std::string name;  // the file's, without folder and ending
  std::vector<std::string> preface;
  std::vector<std::string> mutants;
  std::vector<Step> steps;
};

// Throws std::runtime_error with file, line and what is wrong.
Story read_story(const std::filesystem::path& file);
// The same text again when nothing changed.
std::string text_of(const Story& story);

}  // namespace lockstep::scenario
