// What the tools share in reading their command lines. Boost alone takes -1 for an unsigned number (as the largest one) and passes
// words over that nobody asked for.
#pragma once

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>

namespace lockstep {

// For an option that takes a whole number between two bounds, itself included; what lies outside ends as po::error.
template <class T>
boost::program_options::typed_value<std::string>* number(std::string_view option, T& into, T least,
                                                         T most = std::numeric_limits<T>::max()) {
  const auto take = [option, &into, least, most](const std::string& text) {
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, into);
    if (error == std::errc{} && stopped == end && into >= least && into <= most) return;
    const std::string bounds =
        most == std::numeric_limits<T>::max() ? fmt::format("from {} on", least) : fmt::format("from {} to {}", least, most);
    throw boost::program_options::error(fmt::format("--{} {}: it takes a whole number {}", option, text, bounds));
  };
  return boost::program_options::value<std::string>()->notifier(take);
}

// Throws po::error, of a word too many with that word.
inline boost::program_options::variables_map read_command_line(
    int argc, char** argv, const boost::program_options::options_description& options,
    const boost::program_options::positional_options_description& words = {}) {
  namespace po = boost::program_options;
  // No guessing: --seed is not --seeds.
  const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
  unsigned count = 0;
  for (const auto& option : po::command_line_parser(argc, argv).options(options).style(style).run().options) {
    if (option.string_key.empty() && ++count > words.max_total_count())
      throw po::error(fmt::format("\"{}\" is one word too many", option.value.front()));
  }
  po::variables_map given;
  po::store(po::command_line_parser(argc, argv).options(options).style(style).positional(words).run(), given);
  po::notify(given);
  return given;
}

// Whether it stands on the command line: an option that is a switch, or has a default, is always in the map.
inline bool asked_for(const boost::program_options::variables_map& given, const std::string& option) {
  return given.count(option) != 0 && !given[option].defaulted();
}

}  // namespace lockstep
