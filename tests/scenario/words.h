// One command line of a story, taken apart: WORD... [KEY=VALUE...]. Throws std::runtime_error that says what
// was expected.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "sim/world.h"

namespace lockstep::scenario {

class Words {
 public:
  explicit Words(std::string_view line);

  bool empty() const { return at_ == words_.size(); }
  std::string take(std::string_view what);        // the next word
  bool take_if(std::string_view word);            // the next word, if it is this one
  std::string rest();                             // all that are left, as they stood
  Duration take_duration(std::string_view what);  // 250ms, 3s; at most an hour
  Seat take_seat(std::string_view what);
  Range take_blocks(uint64_t volume);                    // 5, or 5+3: three from 5 on; `volume` in blocks
  int option(const std::string& key, int unless_given);  // within its bounds (words.cc)
  // Nothing may be left that nobody asked for.
  void finish() const;

 private:
  std::vector<std::string> words_;
  size_t at_ = 0;
  std::map<std::string, std::string> options_;
};

}  // namespace lockstep::scenario
