#include "scenario/words.h"

#include <fmt/format.h>

#include <charconv>
#include <sstream>
#include <stdexcept>

#include "scenario/stage.h"

namespace lockstep::scenario {
namespace {

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

int Words::take_int(std::string_view what) { return static_cast<int>(whole_number(take(what), what)); }

Duration Words::take_duration(std::string_view what) {
  const std::string word = take(what);
  std::string_view unit = word;
  const auto number = static_cast<int64_t>(leading_number(unit, what, word));
  if (unit == "us") return microseconds(number);
  if (unit == "ms") return milliseconds(number);
  if (unit == "s") return seconds(number);
  wrong(what, word);
}

Seat Words::take_seat(std::string_view what) {
  const std::string word = take(what);
  const auto seat = seat_named(word);
  if (!seat) wrong(what, word);
  return *seat;
}

Range Words::take_blocks() {
  constexpr std::string_view kWhat = "blocks (5, or 5+3)";
  const std::string word = take(kWhat);
  std::string_view rest = word;
  const uint64_t first = leading_number(rest, kWhat, word);
  const uint64_t count = rest.starts_with('+') ? whole_number(rest.substr(1), kWhat) : 1;
  if (count == 0 || (!rest.empty() && !rest.starts_with('+'))) wrong(kWhat, word);
  return {first * kBlockBytes, count * kBlockBytes};
}

int Words::option(const std::string& key, int unless_given) {
  const auto found = options_.find(key);
  if (found == options_.end()) return unless_given;
  const auto value = static_cast<int>(whole_number(found->second, key));
  options_.erase(found);
  return value;
}

void Words::finish() const {
  if (!empty()) wrong("nothing more", words_[at_]);
  if (!options_.empty()) wrong("no such option", options_.begin()->first);
}

}  // namespace lockstep::scenario
