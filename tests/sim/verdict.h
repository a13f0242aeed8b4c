// What a checker found: which promise is broken, and how. Nothing in `wrong`: nothing is.
#pragma once

#include <string>

namespace lockstep::sim {

struct Verdict {
  const char* promise = "";
  std::string wrong;
  bool good() const { return wrong.empty(); }
};

}  // namespace lockstep::sim
