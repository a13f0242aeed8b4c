// Where a word of the configuration stands, and what is wrong with it. Values only; nothing refers to the
// text that was read.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::config {

// One line of one file. Shared by all words of that line.
struct SourceLine {
  std::string file;
  int number = 0;  // from 1
  std::string text;
};

struct Location {
  std::shared_ptr<const SourceLine> line;  // null: no place, for example a file that cannot be read
  int column = 0;                          // from 1, in bytes
  int length = 1;                          // of the word, in bytes
};

enum class Severity : unsigned char {
  error,    // nothing is started
  warning,  // understood, but the outcome may surprise
};

struct Diagnostic {
  Severity severity = Severity::error;
  Location at;
  std::string message;
  std::string nearest;  // the known word that was probably meant; empty when none is near
};

// "FILE:LINE:COLUMN: message", the line, a caret under the word, and the nearest known word; each line ends
// with '\n'.
std::string render(const Diagnostic& diagnostic);
// All of them, one after the other.
std::string render(const std::vector<Diagnostic>& diagnostics);

// The candidate with the smallest edit distance to `word`, empty when even that one is not similar.
std::string nearest_word(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace lockstep::config
