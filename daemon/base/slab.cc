#include "base/slab.h"

#include <sys/mman.h>

#include <cstdlib>

#include "base/check.h"

namespace lockstep {

std::unique_ptr<Slab> Slab::create(size_t piece_bytes) {
  CHECK(piece_bytes > 0 && kBytes % piece_bytes == 0);
  void* memory = std::aligned_alloc(kBytes, kBytes);
  if (memory == nullptr) return nullptr;
  (void)madvise(memory, kBytes, MADV_HUGEPAGE);  // EINVAL without huge pages: as good as it gets
  return std::unique_ptr<Slab>(new Slab(static_cast<std::byte*>(memory), piece_bytes));
}

Slab::~Slab() { std::free(memory_); }

}  // namespace lockstep
