#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "control/config/lexer.h"
#include "control/config/tree.h"

namespace lockstep::config {

namespace {

constexpr int kMaxDepth = 8;
constexpr int kMaxIncludeDepth = 8;
constexpr int kMaxFiles = 256;
constexpr size_t kMaxWords = 256;

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

class Parser {
 public:
  Parser(SourceReader& reader, Tree& tree) : reader_(reader), tree_(tree) {}

  void file(const std::string& path, const Location& asked_at, int include_depth);

 private:
  bool statements(Lexer& lexer, std::vector<Statement>& into, int depth, const Location& opened, int include_depth);
  bool statement(Lexer& lexer, Token token, Statement& into, int depth, int include_depth);
  void include(const Statement& statement, int include_depth);
  bool fail(const Location& at, std::string message) {
    tree_.errors.push_back({Severity::error, at, std::move(message), ""});
    return false;
  }

  SourceReader& reader_;
  Tree& tree_;
  int files_ = 0;
  std::string path_;  // of the file being read
};

void Parser::file(const std::string& path, const Location& asked_at, int include_depth) {
  if (include_depth > kMaxIncludeDepth) {
    fail(asked_at, fmt::format("files are included more than {} deep", kMaxIncludeDepth));
    return;
  }
  if (++files_ > kMaxFiles) {
    fail(asked_at, fmt::format("more than {} files", kMaxFiles));
    return;
  }
  const Result<std::string> text = reader_.read(path);
  if (!text) {
    fail(asked_at, fmt::format("{}: cannot {}: {}", path, text.error().where, std::strerror(text.error().os)));
    return;
  }
  const std::string outer = std::exchange(path_, path);
  Lexer lexer(path, text.value());
  statements(lexer, tree_.statements, 0, {}, include_depth);
  if (lexer.error()) tree_.errors.insert(tree_.errors.begin(), *lexer.error());
  path_ = outer;
}

bool Parser::statements(Lexer& lexer, std::vector<Statement>& into, int depth, const Location& opened, int include_depth) {
  for (;;) {
    Token token = lexer.next();
    if (lexer.error()) return false;
    switch (token.kind) {
      case TokenKind::end:
        return depth == 0 || fail(opened, "this section is never closed: a \"}\" is missing");
      case TokenKind::close:
        return depth > 0 || fail(token.at, "this \"}\" closes nothing");
      case TokenKind::open:
        return fail(token.at, "a section needs a name before its \"{\"");
      case TokenKind::semicolon:
        continue;  // an empty statement, which DRBD allows too
      case TokenKind::word:
        break;
    }
    Statement one;
    if (!statement(lexer, std::move(token), one, depth, include_depth)) return false;
    const bool skipped = one.has_block && one.keyword() == "skip";
    const bool included = depth == 0 && !one.has_block && one.keyword() == "include";
    if (included) include(one, include_depth);
    if (!skipped && !included) into.push_back(std::move(one));
  }
}

bool Parser::statement(Lexer& lexer, Token token, Statement& into, int depth, int include_depth) {
  for (; token.kind == TokenKind::word; token = lexer.next()) {
    if (lexer.error()) return false;
    if (into.words.size() == kMaxWords) return fail(token.at, "too many words in one statement: is a \";\" missing?");
    // The usual mistake, a forgotten semicolon, shows as a word on a further line.
    into.words.push_back({std::move(token.text), token.at});
  }
  if (lexer.error()) return false;
  switch (token.kind) {
    case TokenKind::semicolon:
      return true;
    case TokenKind::open:
      into.has_block = true;
      if (depth == kMaxDepth) return fail(token.at, fmt::format("sections nest more than {} deep", kMaxDepth));
      return statements(lexer, into.block, depth + 1, into.at(), include_depth);
    case TokenKind::close:
    case TokenKind::end:
    case TokenKind::word:
      break;
  }
  return fail(into.words.back().at, fmt::format("a \";\" is missing after \"{}\"", into.words.back().text));
}

void Parser::include(const Statement& statement, int include_depth) {
  if (statement.words.size() != 2) {
    fail(statement.at(), "include takes one file name or pattern");
    return;
  }
  std::string pattern = statement.words[1].text;
  if (pattern.empty()) {
    fail(statement.words[1].at, "include takes a file name or pattern");
    return;
  }
  if (pattern.front() != '/') pattern = directory_of(path_) + pattern;
  for (const std::string& path : reader_.expand(pattern)) file(path, statement.words[1].at, include_depth + 1);
}

}  // namespace

Tree parse_files(const std::string& path, SourceReader& reader) {
  Tree tree;
  Parser(reader, tree).file(path, {}, 0);
  return tree;
}

}  // namespace lockstep::config
