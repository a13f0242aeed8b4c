#include "base/range.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

// Every range within eight bytes, against a set of bytes as a model.
uint32_t bytes_of(const Range& range) { return range.empty() ? 0 : ((uint32_t{1} << range.length) - 1) << range.offset; }

template <class Judge>
void each_pair(bool with_empty, Judge judge) {
  for (uint64_t a = 0; a < 8; ++a)
    for (uint64_t n = with_empty ? 0 : 1; a + n <= 8; ++n)
      for (uint64_t b = 0; b < 8; ++b)
        for (uint64_t m = with_empty ? 0 : 1; b + m <= 8; ++m) judge(Range{a, n}, Range{b, m});
}

TEST(Range, OverlapsWhereBytesAreShared) {
  each_pair(false, [](const Range& a, const Range& b) {
    EXPECT_EQ(a.overlaps(b), (bytes_of(a) & bytes_of(b)) != 0)
        << a.offset << "+" << a.length << " " << b.offset << "+" << b.length;
  });
}

TEST(Range, ContainsWhatAddsNoBytes) {
  each_pair(false, [](const Range& a, const Range& b) {
    EXPECT_EQ(a.contains(b), (bytes_of(b) & ~bytes_of(a)) == 0)
        << a.offset << "+" << a.length << " " << b.offset << "+" << b.length;
  });
}

TEST(Range, NeighboursDoNotMeet) {
  EXPECT_FALSE((Range{0, 4096}.overlaps({4096, 4096})));
  EXPECT_TRUE((Range{0, 4097}.overlaps({4096, 4096})));
}

}  // namespace
}  // namespace lockstep
