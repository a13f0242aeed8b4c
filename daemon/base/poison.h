// Under address sanitizer, memory that is kept for reuse may be marked as nobody's: who touches it is caught as after free(). Otherwise
// nothing happens.
#pragma once

#include <sanitizer/asan_interface.h>

#include <cstddef>

namespace lockstep {

inline void poison([[maybe_unused]] const std::byte* memory, [[maybe_unused]] size_t bytes) {
  ASAN_POISON_MEMORY_REGION(memory, bytes);
}
inline void unpoison([[maybe_unused]] const std::byte* memory, [[maybe_unused]] size_t bytes) {
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
}

}  // namespace lockstep
