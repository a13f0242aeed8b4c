#include "scenario/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <stdexcept>

#include "base/check.h"
#include "scenario/stage.h"

namespace lockstep::scenario {
namespace {

// Longer than a story can need, and soon over for whoever mistyped it.
constexpr Duration kLongest = seconds(60 * 60);

struct Bounds {
  std::string_view key;
  uint64_t least;
  uint64_t most;
};

// What options may be: what the simulated cluster can be. Times are in milliseconds.
constexpr auto kBounds = std::to_array<Bounds>({
    {"nodes", 2, 3},
    {"witnesses", 0, 2},
    {"clients", 0, 16},
    {"lease", 50, 60'000},
    {"witness-timeout", 0, 3'600'000},
    {"nth", 1, 1'000'000},
    {"exit", 0, 255},
    {"fence-handler", 0, 1},
    {"volatile", 0, 1},
    {"created", 0, 1},
});

[[noreturn]] void wrong(std::string_view what, std::string_view instead) {
  throw std::runtime_error(fmt::format("expected {} instead of '{}'", what, instead));
}

// The number that `text` begins with; the rest of it in `text`.
uint64_t leading_number(std::string_view& text, std::string_view what, std::string_view whole) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) wrong(what, whole);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

uint64_t whole_number(std::string_view text, std::string_view what) {
  std::string_view rest = text;
  const uint64_t number = leading_number(rest, what, text);
  if (!rest.empty()) wrong(what, text);
  return number;
}

}  // namespace

Words::Words(std::string_view line) {
  std::istringstream in{std::string(line)};
  for (std::string word; in >> word;) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      words_.push_back(word);
    } else {
      options_[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
}

std::string Words::take(std::string_view what) {
  if (empty()) wrong(what, "");
  return words_[at_++];
}

bool Words::take_if(std::string_view word) {
  if (empty() || words_[at_] != word) return false;
  ++at_;
  return true;
}

std::string Words::rest() {
  std::string text;
  for (; !empty(); ++at_) text += (text.empty() ? "" : " ") + words_[at_];
  for (const auto& [key, value] : options_) text += fmt::format(" {}={}", key, value);
  options_.clear();
  return text;
}

Duration Words::take_duration(std::string_view what) {
  const std::string word = take(what);
  std::string_view unit = word;
  const uint64_t number = leading_number(unit, what, word);
  const Duration one = unit == "us" ? microseconds(1) : unit == "ms" ? milliseconds(1) : unit == "s" ? seconds(1) : Duration{0};
  if (one == Duration{0}) wrong(what, word);
  if (number > static_cast<uint64_t>(kLongest.ns / one.ns))
    throw std::runtime_error(fmt::format("{} is longer than an hour: {}s at most", word, kLongest.ns / seconds(1).ns));
  return one * static_cast<int64_t>(number);
}

Seat Words::take_seat(std::string_view what) {
  const std::string word = take(what);
  const auto seat = seat_named(word);
  if (!seat) wrong(what, word);
  return *seat;
}

Range Words::take_blocks(uint64_t volume) {
  constexpr std::string_view kWhat = "blocks (5, or 5+3)";
  const std::string word = take(kWhat);
  std::string_view rest = word;
  const uint64_t first = leading_number(rest, kWhat, word);
  const uint64_t count = rest.starts_with('+') ? whole_number(rest.substr(1), kWhat) : 1;
  if (count == 0 || (!rest.empty() && !rest.starts_with('+'))) wrong(kWhat, word);
  if (first >= volume || count > volume - first)
    throw std::runtime_error(fmt::format("{} is not within the volume's {} blocks", word, volume));
  return {first * kBlockBytes, count * kBlockBytes};
}

int Words::option(const std::string& key, int unless_given) {
  const auto found = options_.find(key);
  if (found == options_.end()) return unless_given;
  const uint64_t value = whole_number(found->second, key);
  options_.erase(found);
  const auto bounds = std::find_if(kBounds.begin(), kBounds.end(), [&key](const Bounds& b) { return b.key == key; });
  CHECK(bounds != kBounds.end());
  if (value < bounds->least || value > bounds->most)
    throw std::runtime_error(fmt::format("{}={}: it takes a number from {} to {}", key, value, bounds->least, bounds->most));
  return static_cast<int>(value);
}

void Words::finish() const {
  if (!empty()) wrong("nothing more", words_[at_]);
  if (!options_.empty()) throw std::runtime_error(fmt::format("no option '{}'", options_.begin()->first));
}

}  // namespace lockstep::scenario
