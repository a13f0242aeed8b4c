// The configuration as it is written: statements that keep the place of every word. Meaning comes later
// (resolve.h).
//
//   statement := word... ( ';' | '{' statement... '}' )
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "control/config/diagnostic.h"

namespace lockstep::config {

struct Word {
  std::string text;
  Location at;
};

struct Statement {
  std::vector<Word> words;  // at least one
  bool has_block = false;
  std::vector<Statement> block;

  const std::string& keyword() const { return words.front().text; }
  const Location& at() const { return words.front().at; }
};

// Where text comes from: the file system, or a map in tests and fuzzing.
class SourceReader {
 public:
  virtual ~SourceReader() = default;
  virtual Result<std::string> read(const std::string& path) = 0;
  // Paths that match, sorted. A pattern without wildcards matches itself, whether it exists or not.
  virtual std::vector<std::string> expand(const std::string& pattern) = 0;
};

class FileReader final : public SourceReader {
 public:
  Result<std::string> read(const std::string& path) override;
  std::vector<std::string> expand(const std::string& pattern) override;
};

struct Tree {
  std::vector<Statement> statements;  // of all files, in order; `include` is replaced by what it names
  std::vector<Diagnostic> errors;     // syntax errors; the tree is then incomplete
};

// Bounds: files of 1 MiB, 256 files, includes 8 deep, sections 8 deep.
Tree parse_files(const std::string& path, SourceReader& reader);

}  // namespace lockstep::config
