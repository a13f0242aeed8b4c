// Half-open byte ranges on a volume.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lockstep {

struct Range {
  uint64_t offset = 0;
  uint64_t length = 0;

  constexpr uint64_t end() const { return offset + length; }
  constexpr bool empty() const { return length == 0; }
  constexpr bool overlaps(const Range& other) const { return offset < other.end() && other.offset < end(); }
  constexpr bool contains(const Range& other) const { return offset <= other.offset && other.end() <= end(); }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

// The part that both have; empty when they do not meet.
constexpr Range intersect(const Range& a, const Range& b) {
  const uint64_t begin = std::max(a.offset, b.offset);
  const uint64_t end = std::min(a.end(), b.end());
  return begin < end ? Range{begin, end - begin} : Range{begin, 0};
}

}  // namespace lockstep
