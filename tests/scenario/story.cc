#include "scenario/story.h"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>

namespace lockstep::scenario {
namespace {

constexpr std::string_view kMutantMark = "# mutant: ";
constexpr std::string_view kRule = "----";

std::string without_space_at_the_end(std::string line) {
  line.erase(line.find_last_not_of(" \t\r") + 1);
  return line;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file), in_(file) {
    if (std::filesystem::is_directory(file))
      throw std::runtime_error(fmt::format("{} is a directory: name the stories in it", file.string()));
    if (!in_) throw std::runtime_error(fmt::format("{}: cannot be read", file.string()));
  }

  Story read() {
    Story story;
    story.name = file_.stem().string();
    while (next() && line_.starts_with('#')) preface_line(story);
    while (!over_) {
      if (line_.empty()) {
        next();
      } else {
        story.steps.push_back(step());
      }
    }
    if (story.preface.empty()) fail("a story begins with a comment that tells it");
    if (story.steps.empty()) fail("a story needs commands");
    return story;
  }

 private:
  bool next() {
    over_ = !std::getline(in_, line_);
    if (over_) line_.clear();
    line_ = without_space_at_the_end(line_);
    ++number_;
    return !over_;
  }
  void preface_line(Story& story) {
    story.preface.push_back(line_);
    if (line_.starts_with(kMutantMark)) story.mutants.push_back(line_.substr(kMutantMark.size()));
  }
  Step step() {
    Step step;
    step.line = number_;
    for (; line_ != kRule; next()) {
      if (over_ || line_.empty()) fail(fmt::format("a step's commands end with {}", kRule));
      if (!line_.starts_with('#')) step.commands.push_back(line_);
    }
    while (next() && !line_.empty()) step.expected += line_ + "\n";
    return step;
  }
  [[noreturn]] void fail(std::string_view what) const {
    throw std::runtime_error(fmt::format("{}:{}: {}", file_.string(), number_, what));
  }

  const std::filesystem::path& file_;
  std::ifstream in_;
  std::string line_;
  size_t number_ = 0;
  bool over_ = false;
};

}  // namespace

Story read_story(const std::filesystem::path& file) { return Reader(file).read(); }

std::string text_of(const Story& story) {
  std::string text;
  for (const std::string& line : story.preface) text += line + "\n";
  for (const Step& step : story.steps) {
    text += "\n";
    for (const std::string& command : step.commands) text += command + "\n";
    text += fmt::format("{}\n{}", kRule, step.expected);
  }
  return text;
}

}  // namespace lockstep::scenario
