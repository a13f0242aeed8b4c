#include "core/reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lockstep {
namespace {

constexpr Reason kLast = static_cast<Reason>(kReasons - 1);

std::vector<Reason> all_reasons() {
  std::vector<Reason> all;
  for (int i = 0; i <= static_cast<int>(kLast); ++i) all.push_back(static_cast<Reason>(i));
  return all;
}

TEST(Reason, EveryOneHasACodeThatNoOtherHas) {
  std::set<std::string_view> codes;
  for (Reason reason : all_reasons()) {
    const std::string_view code = code_of(reason);
    EXPECT_TRUE(codes.insert(code).second) << code;
    EXPECT_EQ(code.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string_view::npos) << code;
    EXPECT_FALSE(code.empty() || code.front() == '-' || code.back() == '-') << code;
  }
}

TEST(Reason, EveryOneHasASentenceAndSaysWhatWouldChangeTheAnswer) {
  for (Reason reason : all_reasons()) {
    EXPECT_TRUE(text_of(reason).ends_with('.')) << code_of(reason);
    const bool nothing_to_do = reason == Reason::none;
    EXPECT_EQ(remedy_of(reason).empty(), nothing_to_do) << code_of(reason);
  }
}

TEST(Reason, EveryRefusalHasAnExitStatusANumberAndAHeadline) {
  const std::set<int> statuses = {5, 11, 16, 17, 20};
  for (Reason reason : all_reasons()) {
    const RefusalClass refusal = class_of(reason);
    if (reason == Reason::none) {
      EXPECT_EQ(refusal.exit_status, 0);
      continue;
    }
    EXPECT_TRUE(statuses.contains(refusal.exit_status)) << code_of(reason);
    EXPECT_LT(refusal.number, 0) << code_of(reason);
    EXPECT_FALSE(refusal.headline.empty()) << code_of(reason);
  }
}

TEST(ReasonDeathTest, OneWithoutARowIsABug) {
  EXPECT_DEATH((void)code_of(static_cast<Reason>(static_cast<int>(kLast) + 1)), "without a row");
}

}  // namespace
}  // namespace lockstep
