// A bit a block or extent, with the counts and page views that maps on disk need.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/durable.h"
#include "core/volumes.h"

namespace lockstep {

class BitVector {
 public:
  BitVector() = default;
  explicit BitVector(uint64_t bits, bool value = false);

  uint64_t size() const { return bits_; }
  uint64_t count() const { return count_; }  // set bits
  bool test(uint64_t i) const { return (words_[i / 64] >> (i % 64)) & 1; }
  bool set(uint64_t i);  // true if it changed
  bool clear(uint64_t i);
  // [first, first + n), clipped to size(). Returns how many bits changed.
  uint64_t set_range(uint64_t first, uint64_t n);
  uint64_t clear_range(uint64_t first, uint64_t n);
  void set_all() { set_range(0, bits_); }
  void clear_all() { clear_range(0, bits_); }
  bool any_in(uint64_t first, uint64_t n) const;
  uint64_t count_in(uint64_t first, uint64_t n) const;  // looks at all of them
  // First set bit at or after `from`; size() when there is none. Nothing is looked for beyond `before`: then that, or more, comes back.
  uint64_t next_set(uint64_t from, uint64_t before = UINT64_MAX) const;
  // First clear bit at or after `from`; size() when there is none. Nothing is looked for beyond `before`: then that, or more, comes back.
  uint64_t next_clear(uint64_t from, uint64_t before = UINT64_MAX) const;

  uint32_t pages() const { return static_cast<uint32_t>((bits_ + kBitsPerPage - 1) / kBitsPerPage); }
  BitPage page(uint32_t index) const;
  void load_page(uint32_t index, const BitPage& page);  // bits beyond size() are ignored

 private:
  std::vector<uint64_t> words_;
  uint64_t bits_ = 0;
  uint64_t count_ = 0;
};

// Set bits of a map of blocks, by volume.
VolumeCounts count_by_volume(const BitVector& blocks, const VolumeShapes& volumes);

}  // namespace lockstep
