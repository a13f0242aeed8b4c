// Memory in large pieces: 2 MiB at once, which the kernel is asked to keep as one huge page, cut into buffers of one size.
//
// What is contiguous for the processor need not be so for a device. A buffer of 256 KiB out of single pages is 64 segments, of which a
// request takes a few hundred at most (`max_segments` in /sys/block/*/queue): the block layer then cuts what it could have merged. Out of a
// huge page it is one segment, and adjacent reads or writes that are submitted together become requests of some MiB, with which disks do
// half as much again. Where huge pages are switched off it is memory like any other.
#pragma once

#include <cstddef>
#include <memory>

namespace lockstep {

class Slab {
 public:
  static constexpr size_t kBytes = size_t{2} << 20;

  // `piece_bytes` divides kBytes. Null if there is no memory.
  static std::unique_ptr<Slab> create(size_t piece_bytes);
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  size_t pieces() const { return kBytes / piece_bytes_; }
  std::byte* piece(size_t index) { return memory_ + index * piece_bytes_; }

  size_t out = 0;  // how many of its pieces somebody has; kept by the pool

 private:
  Slab(std::byte* memory, size_t piece_bytes) : memory_(memory), piece_bytes_(piece_bytes) {}
  std::byte* memory_;
  size_t piece_bytes_;
};

}  // namespace lockstep
