#include "control/config/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace lockstep::config {

namespace {

constexpr size_t kShown = 160;  // of a long line, around the word

size_t clamped(std::string_view text, size_t at) { return std::min(at, text.size()); }

// Control characters would garble a terminal; each stays one column wide.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) c = '?';
  }
  return out;
}

// The part of the line that is shown, and under it the caret. Tabs are repeated so that the caret stays under
// the word.
std::string pointed_line(const Location& at) {
  const std::string& text = at.line->text;
  const size_t word = clamped(text, static_cast<size_t>(std::max(at.column - 1, 0)));
  const size_t from = word > kShown / 2 ? word - kShown / 2 : 0;
  const std::string shown = printable(std::string_view(text).substr(from, kShown));
  std::string under;
  for (size_t i = 0; i < word - from; ++i) under.push_back(i < shown.size() && shown[i] == '\t' ? '\t' : ' ');
  under.push_back('^');
  const size_t rest = shown.size() > word - from ? shown.size() - (word - from) : 1;
  const size_t length = std::min(static_cast<size_t>(std::max(at.length, 1)), rest);
  under.append(length > 1 ? length - 1 : 0, '~');
  return fmt::format("  {}\n  {}\n", shown, under);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) before[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({replaced, before[j] + 1, now[j - 1] + 1});
    }
    std::swap(before, now);
  }
  return before[b.size()];
}

}  // namespace

std::string render(const Diagnostic& diagnostic) {
  std::string out;
  const char* label = diagnostic.severity == Severity::warning ? "warning: " : "";
  if (diagnostic.at.line) {
    out = fmt::format("{}:{}:{}: {}{}\n", diagnostic.at.line->file, diagnostic.at.line->number, diagnostic.at.column, label,
                      diagnostic.message);
    out += pointed_line(diagnostic.at);
  } else {
    out = fmt::format("{}{}\n", label, diagnostic.message);
  }
  if (!diagnostic.nearest.empty()) out += fmt::format("  did you mean \"{}\"?\n", diagnostic.nearest);
  return out;
}

std::string render(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) out += render(diagnostic);
  return out;
}

std::string nearest_word(std::string_view word, const std::vector<std::string_view>& candidates) {
  constexpr size_t kLongest = 64;  // longer words are no typing mistakes of ours
  if (word.empty() || word.size() > kLongest) return "";
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (std::string_view candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < word.size()) {
      best_distance = distance;
      best = candidate;
    }
  }
  return std::string(best);
}

}  // namespace lockstep::config
