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

}  // namespace lockstep
