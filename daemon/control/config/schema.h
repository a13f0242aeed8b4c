// Every option of every section as one row: what it takes, its unit, its bounds, its default, and whether it
// is built. The table drives validation, `dump`, completion and the documentation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::config {

enum class Section : uint8_t { options, net, disk, handlers };
constexpr std::string_view kSectionNames[] = {"options", "net", "disk", "handlers"};
inline std::string_view name_of(Section section) { return kSectionNames[static_cast<size_t>(section)]; }

enum class Kind : uint8_t {
  number,  // an integer of `unit`
  size,    // bytes; suffixes k m g t (1024) and s (512); a bare number counts in `scale` bytes
  choice,  // one of `choices`, separated by '|'; yes|no for switches
  text,    // any string of 1..max bytes
  place,   // one of `choices`, or an absolute path of at most max bytes
  uuid,
};

enum class Built : uint8_t {
  yes,
  parsed,       // understood and kept, and a warning says that it has no effect yet
  not_yet,      // a word of DRBD's or of our contract that would promise something: refused, naming what is
                // missing
  meaningless,  // a word of DRBD's that has no meaning here: refused, with the reason
};

struct OptionSpec {
  Section section;
  std::string_view name;
  Kind kind;
  std::string_view unit;  // "0.1 s", "s", "bytes/s"; empty for words
  int64_t low;
  int64_t high;              // of text: longest length
  std::string_view initial;  // the default as it would be written; empty: unset
  std::string_view choices;  // of choice: the values that are built
  std::string_view later;    // of choice: DRBD's further values, which are not built yet
  Built built;
  std::string_view meaning;  // for not_yet and meaningless: the reason
  int64_t scale = 1;         // of size
};

const std::vector<OptionSpec>& all_options();
// Null when the section has no such option.
const OptionSpec* find_option(Section section, std::string_view name);
// The names of the built options of a section: what "did you mean" chooses from.
std::vector<std::string_view> option_names(Section section);
// "a|b|c" as its parts.
std::vector<std::string_view> split_choices(std::string_view choices);
// A section that has this option, when another section was meant.
const OptionSpec* find_elsewhere(std::string_view name);

}  // namespace lockstep::config
