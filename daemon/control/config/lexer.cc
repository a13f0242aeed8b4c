#include "control/config/lexer.h"

#include <utility>

namespace lockstep::config {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool ends_word(char c) { return is_blank(c) || c == '{' || c == '}' || c == ';' || c == '#' || c == '"'; }

}  // namespace

Lexer::Lexer(std::string file, std::string_view text) : file_(std::move(file)), text_(text) { enter_line(); }

void Lexer::enter_line() {
  line_start_ = at_;
  const size_t end = text_.find('\n', at_);
  std::string_view line = text_.substr(at_, end == std::string_view::npos ? end : end - at_);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  line_ = std::make_shared<const SourceLine>(SourceLine{file_, ++line_number_, std::string(line)});
}

void Lexer::advance() {
  const bool newline = text_[at_++] == '\n';
  // A last newline begins no further line: the end of the file is shown on the line that is there.
  if (newline && !at_end()) enter_line();
}

void Lexer::skip_blank() {
  while (!at_end()) {
    if (text_[at_] == '#') {
      while (!at_end() && text_[at_] != '\n') advance();
    } else if (is_blank(text_[at_])) {
      advance();
    } else {
      return;
    }
  }
}

Location Lexer::here(int length) const { return {line_, static_cast<int>(at_ - line_start_) + 1, length}; }

Token Lexer::fail(Location at, std::string message) {
  error_ = Diagnostic{Severity::error, at, std::move(message), ""};
  at_ = text_.size();
  return {TokenKind::end, "", false, at};
}

Token Lexer::next() {
  skip_blank();
  if (at_end()) return {TokenKind::end, "", false, here()};
  const char c = text_[at_];
  if (c == '"') return quoted();
  if (c != '{' && c != '}' && c != ';') return word();
  const TokenKind kind = c == '{' ? TokenKind::open : c == '}' ? TokenKind::close : TokenKind::semicolon;
  Token token{kind, std::string(1, c), false, here()};
  advance();
  return token;
}

Token Lexer::word() {
  const size_t from = at_;
  Location at = here();
  while (!at_end() && !ends_word(text_[at_])) {
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte < 0x20 || byte == 0x7f) return fail(here(), "a control character cannot stand here");
    advance();
  }
  at.length = static_cast<int>(at_ - from);
  return {TokenKind::word, std::string(text_.substr(from, at_ - from)), false, at};
}

Token Lexer::quoted() {
  Location at = here();
  std::string value;
  const size_t from = at_;
  advance();
  while (!at_end() && text_[at_] != '"') {
    if (text_[at_] == '\n') return fail(at, "this string does not end on its line");
    if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n') advance();
    if (text_[at_] == '\0') return fail(at, "a string cannot hold a zero byte");
    value.push_back(text_[at_]);
    advance();
  }
  if (at_end()) return fail(at, "this string does not end");
  advance();
  at.length = static_cast<int>(at_ - from);
  return {TokenKind::word, std::move(value), true, at};
}

}  // namespace lockstep::config
