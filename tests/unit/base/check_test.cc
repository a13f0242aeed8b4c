#include "base/check.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>

namespace lockstep {
namespace {

TEST(Check, LetsPassWhatHoldsAndAsksOnce) {
  int asked = 0;
  CHECK(++asked == 1);
  EXPECT_EQ(asked, 1);
}

TEST(CheckDeathTest, AbortsAndNamesPlaceAndCondition) {
  EXPECT_EXIT(CHECK(1 == 2), testing::KilledBySignal(SIGABRT), "check_test.cc:[0-9]+: broken invariant: 1 == 2");
  EXPECT_EXIT(UNREACHABLE("here"), testing::KilledBySignal(SIGABRT), "broken invariant: here");
}

TEST(CheckDeathTest, CallsTheHookBeforeItAborts) {
  const auto broken = [] {
    set_check_hook([](const char*, int, const char* what) { std::fprintf(stderr, "hook: %s\n", what); });
    UNREACHABLE("with a hook");
  };
  EXPECT_EXIT(broken(), testing::KilledBySignal(SIGABRT), "hook: with a hook");
}

}  // namespace
}  // namespace lockstep
