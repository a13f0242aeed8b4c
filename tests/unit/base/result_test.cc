#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace lockstep {
namespace {

TEST(Result, IsAValueOrAnError) {
  const Result<int> good = 7;
  EXPECT_TRUE(good.ok());
  EXPECT_TRUE(static_cast<bool>(good));
  EXPECT_EQ(good.value(), 7);
  const Result<int> bad = Error{ENOENT, "open"};
  EXPECT_FALSE(bad.ok());
  EXPECT_FALSE(static_cast<bool>(bad));
  EXPECT_EQ(bad.error().os, ENOENT);
  EXPECT_STREQ(bad.error().where, "open");
}

TEST(Result, GivesAwayAValueThatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 3);
}

TEST(Result, OfNothingIsOkOrAnError) {
  EXPECT_TRUE(Result<void>().ok());
  const Result<void> bad = Error{0, "flock"};  // an error even without an errno
  EXPECT_FALSE(bad.ok());
  EXPECT_STREQ(bad.error().where, "flock");
}

TEST(ResultDeathTest, EndsTheProcessWhenTheWrongHalfIsTaken) {
  const Result<int> bad = Error{EIO, "read"};
  EXPECT_DEATH(static_cast<void>(bad.value()), "ok\\(\\)");
  const Result<int> good = 1;
  EXPECT_DEATH(static_cast<void>(good.error()), "!ok\\(\\)");
  EXPECT_DEATH(static_cast<void>(Result<void>().error()), "failed_");
}

}  // namespace
}  // namespace lockstep
