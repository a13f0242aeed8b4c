#include "base/inplace_vector.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

namespace lockstep {
namespace {

TEST(InplaceVector, FillsUpInOrder) {
  InplaceVector<int, 3> items;
  EXPECT_TRUE(items.empty());
  EXPECT_EQ(items.capacity(), 3U);
  items.push_back(7);
  items.push_back(8);
  EXPECT_FALSE(items.full());
  items.push_back(9);
  EXPECT_TRUE(items.full());
  EXPECT_EQ(items.size(), 3U);
  EXPECT_EQ(std::vector<int>(items.begin(), items.end()), (std::vector<int>{7, 8, 9}));
  items[1] = 5;
  EXPECT_EQ(std::as_const(items)[1], 5);
}

TEST(InplaceVector, ComparesWhatItHoldsOnly) {
  InplaceVector<int, 4> a{1, 2, 3};
  EXPECT_EQ(a, (InplaceVector<int, 4>{1, 2, 3}));
  EXPECT_FALSE((a == InplaceVector<int, 4>{1, 2}));
  EXPECT_FALSE((a == InplaceVector<int, 4>{1, 2, 4}));
  a.clear();
  EXPECT_EQ(a, (InplaceVector<int, 4>{}));
}

TEST(InplaceVector, ClearLetsGoOfWhatItHeld) {
  const auto shared = std::make_shared<int>(1);
  InplaceVector<std::shared_ptr<int>, 2> items{shared, shared};
  EXPECT_EQ(shared.use_count(), 3);
  items.clear();
  EXPECT_TRUE(items.empty());
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(InplaceVectorDeathTest, EndsTheProcessBeyondItsBounds) {
  InplaceVector<int, 2> items{1, 2};
  EXPECT_DEATH(items.push_back(3), "size_ < Capacity");
  EXPECT_DEATH(items[2] = 3, "i < size_");
  EXPECT_DEATH(static_cast<void>(std::as_const(items)[2]), "i < size_");
}

}  // namespace
}  // namespace lockstep
