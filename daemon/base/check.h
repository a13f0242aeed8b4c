// CHECK: for bugs, never for bad input. Always on; a failed check ends the process, because a replicator that goes on after
// its own invariant broke may damage the only copy of somebody's data.
#pragma once

namespace lockstep {

using CheckHook = void (*)(const char* file, int line, const char* what);

// Called before the process aborts. The simulator prints its seed and step here. Not thread-safe: set once at start.
void set_check_hook(CheckHook hook);

[[noreturn]] void check_failed(const char* file, int line, const char* what);

}  // namespace lockstep

#define CHECK(condition) ((condition) ? static_cast<void>(0) : ::lockstep::check_failed(__FILE__, __LINE__, #condition))
#define UNREACHABLE(what) ::lockstep::check_failed(__FILE__, __LINE__, what)
