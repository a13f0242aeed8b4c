#include "base/uuid.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr Uuid kSample = Uuid::from_words(0x0123456789abcdef, 0xfedcba9876543210);
constexpr std::string_view kText = "01234567-89ab-cdef-fedc-ba9876543210";

TEST(Uuid, PrintsInTheOrderOfItsBytes) {
  EXPECT_EQ(kSample.bytes[0], 0x01);
  EXPECT_EQ(kSample.bytes[15], 0x10);
  EXPECT_EQ(kSample.to_string(), kText);
  EXPECT_EQ(Uuid{}.to_string(), "00000000-0000-0000-0000-000000000000");
}

TEST(Uuid, ParsesWhatItPrints) {
  for (const Uuid& id : {kSample, Uuid{}, Uuid::from_words(~uint64_t{0}, ~uint64_t{0}), Uuid::from_words(1, 0)})
    EXPECT_EQ(Uuid::parse(id.to_string()), id) << id.to_string();
}

TEST(Uuid, ParsesUpperCase) { EXPECT_EQ(Uuid::parse("01234567-89AB-CDEF-fedc-BA9876543210"), kSample); }

TEST(Uuid, RefusesEveryOtherCharacterAtEveryPlace) {
  for (size_t at = 0; at < kText.size(); ++at) {
    const bool dash = kText[at] == '-';
    for (const char wrong : {'g', 'G', ' ', '/', ':', '@', '`', '\0', '\xff', dash ? '0' : '-'}) {
      std::string text(kText);
      text[at] = wrong;
      EXPECT_EQ(Uuid::parse(text), std::nullopt) << "character " << at << ": " << text;
    }
  }
}

TEST(Uuid, RefusesOtherLengths) {
  EXPECT_EQ(Uuid::parse(""), std::nullopt);
  EXPECT_EQ(Uuid::parse(kText.substr(0, 35)), std::nullopt);
  EXPECT_EQ(Uuid::parse(std::string(kText) + "0"), std::nullopt);
  EXPECT_EQ(Uuid::parse("{" + std::string(kText) + "}"), std::nullopt);
  EXPECT_EQ(Uuid::parse("0123456789abcdeffedcba9876543210"), std::nullopt);
}

TEST(Uuid, OnlyTheNilOneIsNil) {
  EXPECT_TRUE(Uuid{}.is_nil());
  for (size_t at = 0; at < 16; ++at) {
    Uuid id;
    id.bytes[at] = 1;
    EXPECT_FALSE(id.is_nil()) << at;
  }
}

TEST(Uuid, IsOrderedByItsFirstByteFirst) {
  EXPECT_LT(Uuid::from_words(1, 5), Uuid::from_words(2, 0));
  EXPECT_LT(Uuid::from_words(1, 5), Uuid::from_words(1, 6));
}

}  // namespace
}  // namespace lockstep
