// Words of drbd.conf's grammar: bare words, quoted strings, { } ; and comments from # to the end of the line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "control/config/diagnostic.h"

namespace lockstep::config {

enum class TokenKind : unsigned char { word, open, close, semicolon, end };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;     // of a word, without quotes and with escapes resolved
  bool quoted = false;  // a quoted word is never a keyword
  Location at;
};

// Reads one file's text, which must outlive the lexer.
class Lexer {
 public:
  Lexer(std::string file, std::string_view text);
  // The next token, `end` for ever after the last. After an error (an unfinished string, a forbidden byte) it
  // also says `end`.
  Token next();
  const std::optional<Diagnostic>& error() const { return error_; }

 private:
  void skip_blank();
  void advance();
  void enter_line();
  Token word();
  Token quoted();
  Token fail(Location at, std::string message);
  bool at_end() const { return at_ >= text_.size(); }
  Location here(int length = 1) const;

  std::string file_;
  std::string_view text_;
  size_t at_ = 0;
  size_t line_start_ = 0;
  int line_number_ = 0;
  std::shared_ptr<const SourceLine> line_;
  std::optional<Diagnostic> error_;
};

}  // namespace lockstep::config
