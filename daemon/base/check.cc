#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace lockstep {

namespace {
CheckHook check_hook = nullptr;
}

void set_check_hook(CheckHook hook) { check_hook = hook; }

void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
  if (check_hook != nullptr) check_hook(file, line, what);
  std::abort();
}

}  // namespace lockstep
