#include "tools/cli/arguments.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "control/config/diagnostic.h"

#ifndef LOCKSTEP_VERSION
#define LOCKSTEP_VERSION "unknown"
#endif

namespace lockstep::cli {

namespace {

Instead usage(std::string what) { return {1, "", fmt::format("lockstep: {}\nTry: lockstep --help\n", what)}; }

std::string or_environment(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : std::move(otherwise);
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

// A long or short option, split at '='.
struct Option {
  std::string name;
  std::optional<std::string> value;
};

Option split_option(const std::string& word) {
  if (word.substr(0, 2) != "--") {  // -c FILE, -cFILE
    const std::string name = word.substr(1, 1) == "c" ? "config" : word.substr(1, 1) == "h" ? "help" : word;
    if (word.size() > 2) return {name, word.substr(2)};
    return {name, std::nullopt};
  }
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return {word.substr(2), std::nullopt};
  return {word.substr(2, equals - 2), word.substr(equals + 1)};
}

// Where a value is due: the next option stands there, so the value was forgotten.
bool is_option(const std::string& word) { return word.substr(0, 2) == "--" || word == "-c" || word == "-h"; }

class Parser {
 public:
  explicit Parser(const std::vector<std::string>& words) : words_(words) {}
  std::variant<Arguments, Instead> parse();

 private:
  std::optional<Instead> take_words();
  std::optional<Instead> take_option(size_t& at);
  std::optional<Instead> take_command();
  std::optional<Instead> take_command_options();
  std::optional<Instead> take_positionals();
  std::string* common_slot(const std::string& name);

  const std::vector<std::string>& words_;
  Arguments out_;
  std::vector<std::string> positionals_;
  std::vector<Option> later_;  // options of the command, which may not be known yet
  bool help_ = false;
  bool version_ = false;
};

// The command is not known yet when its options are read; none has a flag of the name of another one's option with a value.
bool takes_value_somewhere(const std::string& name) {
  const std::string wanted = fmt::format("|{}=|", name);
  const auto has = [&wanted](const CommandSpec& spec) {
    return fmt::format("|{}|", spec.options).find(wanted) != std::string::npos;
  };
  return std::any_of(all_commands().begin(), all_commands().end(), has);
}

std::string* Parser::common_slot(const std::string& name) {
  if (name == "config") return &out_.config;
  if (name == "node") return &out_.node;
  if (name == "run-dir") return &out_.run_dir;
  return nullptr;
}

std::optional<Instead> Parser::take_option(size_t& at) {
  Option option = split_option(words_[at]);
  if (option.name == "help") help_ = true;
  if (option.name == "version") version_ = true;
  if (help_ || version_) return std::nullopt;
  std::string* slot = common_slot(option.name);
  const bool takes_value = slot != nullptr || takes_value_somewhere(option.name);
  if (takes_value && !option.value) {
    if (at + 1 == words_.size() || is_option(words_[at + 1]))
      return usage(
          fmt::format("--{} needs a value (one that begins with a dash is given as --{}=VALUE)", option.name, option.name));
    option.value = words_[++at];
  }
  if (slot == nullptr) {
    later_.push_back(std::move(option));
    return std::nullopt;
  }
  if (option.value->empty()) return usage(fmt::format("--{} needs a value", option.name));
  if (slot == &out_.config) out_.config_given = true;
  *slot = *option.value;
  return std::nullopt;
}

std::optional<Instead> Parser::take_words() {
  bool only_words = false;
  for (size_t at = 0; at < words_.size(); ++at) {
    const std::string& word = words_[at];
    if (!only_words && word == "--") {
      only_words = true;
    } else if (!only_words && word.size() > 1 && word.front() == '-') {
      if (auto instead = take_option(at)) return instead;
    } else {
      positionals_.push_back(word);
    }
  }
  return std::nullopt;
}

std::optional<Instead> Parser::take_command() {
  if (help_ || (!positionals_.empty() && positionals_.front() == "help")) return Instead{0, help_text(), ""};
  if (version_) return Instead{0, "lockstep " LOCKSTEP_VERSION "\n", ""};
  if (positionals_.empty()) return Instead{1, "", "lockstep: which command?\n\n" + help_text()};
  const std::string& name = positionals_.front();
  out_.command = find_command(name);
  if (out_.command) return std::nullopt;
  std::vector<std::string_view> known;
  for (const CommandSpec& spec : all_commands()) known.push_back(spec.name);
  const std::string nearest = config::nearest_word(name, known);
  return usage(
      fmt::format("unknown command \"{}\"{}", name, nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest)));
}

std::optional<Instead> Parser::take_command_options() {
  const std::string known = fmt::format("|{}|", out_.command->options);
  for (const Option& option : later_) {
    const bool flag = known.find("|" + option.name + "|") != std::string::npos;
    const bool valued = known.find("|" + option.name + "=|") != std::string::npos;
    if (!flag && !valued) {
      const char* dashes = option.name.front() == '-' ? "" : "--";  // a short one keeps its own
      return usage(fmt::format("{} has no option {}{}", out_.command->name, dashes, option.name));
    }
    if (flag && option.value) return usage(fmt::format("--{} takes no value", option.name));
    out_.options[option.name] = option.value.value_or("");
  }
  return std::nullopt;
}

std::optional<Instead> Parser::take_positionals() {
  const CommandSpec& command = *out_.command;
  const size_t words = positionals_.size() - 1;
  const size_t most = command.target == Target::none ? 0 : command.name == "explain" ? 2 : 1;
  if (words > most) return usage(fmt::format("{}: \"{}\" is one word too many", command.name, positionals_[most + 1]));
  if (words == 0) {
    if (command.target == Target::required) return usage(fmt::format("{} needs a resource, or all", command.name));
    out_.target.all = true;
    return std::nullopt;
  }
  const std::optional<TargetName> target = parse_target(positionals_[1]);
  if (!target) {
    return usage(fmt::format("\"{}\" names no resource: RESOURCE[/VOLUME][:PEER] or all", positionals_[1]));
  }
  out_.target = *target;
  // What acts on the whole resource must not do so for somebody who meant one peer of it.
  if (!target->peer.empty() && !command.takes_peer)
    return usage(
        fmt::format("{} takes no peer: it is for all of {}, not for \"{}\" alone", command.name, target->resource, target->peer));
  if (words == 2) out_.topic = positionals_[2];
  if (!out_.topic.empty() && out_.topic != "promote" && out_.topic != "io" && out_.topic != "resync") {
    return usage(fmt::format("explain knows promote, io and resync, not \"{}\"", out_.topic));
  }
  if (command.name == "new-current-uuid" && !out_.flag("clear-bitmap")) {
    return usage("new-current-uuid needs --clear-bitmap, which declares fresh disks identical; nothing else of it is built yet");
  }
  return std::nullopt;
}

std::variant<Arguments, Instead> Parser::parse() {
  out_.config_given = std::getenv("LOCKSTEP_CONFIG") != nullptr;
  out_.config = or_environment("LOCKSTEP_CONFIG", out_.config);
  out_.run_dir = or_environment("LOCKSTEP_RUN_DIR", out_.run_dir);
  out_.node = or_environment("LOCKSTEP_NODE", host_name());
  if (auto instead = take_words()) return *instead;
  if (auto instead = take_command()) return *instead;
  if (auto instead = take_command_options()) return *instead;
  if (auto instead = take_positionals()) return *instead;
  return std::move(out_);
}

}  // namespace

std::variant<Arguments, Instead> parse_arguments(const std::vector<std::string>& words) { return Parser(words).parse(); }

std::optional<TargetName> parse_target(std::string_view text) {
  TargetName target;
  if (text == "all") {
    target.all = true;
    return target;
  }
  const size_t end = text.find_first_of("/:");
  target.resource = std::string(text.substr(0, end));
  if (target.resource.empty()) return std::nullopt;
  while (!text.empty()) {
    const size_t mark = text.find_first_of("/:");
    if (mark == std::string_view::npos) break;
    const bool volume = text[mark] == '/';
    text.remove_prefix(mark + 1);
    const std::string_view part = text.substr(0, text.find_first_of("/:"));
    if (part.empty()) return std::nullopt;
    if (!volume) {
      if (!target.peer.empty()) return std::nullopt;
      target.peer = std::string(part);
      continue;
    }
    uint16_t number = 0;
    const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (target.volume || error != std::errc() || last != part.data() + part.size()) return std::nullopt;
    target.volume = number;
  }
  return target;
}

}  // namespace lockstep::cli
