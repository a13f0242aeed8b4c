#include "shell/tls/key_list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lockstep {
namespace {

const std::string kKey = "00112233445566778899aabbccddeeFF";

std::string wrong_with(const std::string& text) {
  std::string wrong;
  EXPECT_FALSE(KeyList::parse(text, wrong)) << text;
  return wrong;
}

TEST(KeyList, FindsKeysByTheWholeName) {
  std::string wrong;
  const auto list = KeyList::parse("# of ours\n\nalice:" + kKey + "\r\nal ice:" + kKey + "ab", wrong);
  ASSERT_TRUE(list) << wrong;
  ASSERT_NE(list->key_of("alice"), nullptr);
  EXPECT_EQ(list->key_of("alice")->size(), 16u);
  EXPECT_EQ(list->key_of("alice")->back(), std::byte{0xff});
  ASSERT_NE(list->key_of("al ice"), nullptr);
  EXPECT_EQ(list->key_of("al ice")->size(), 17u);
  for (const char* name : {"", "alic", "alicee", "ALICE", "alice\n", "# of ours"}) EXPECT_EQ(list->key_of(name), nullptr) << name;
}

// GnuTLS reads "#beef:KEY" as the key of the name with the bytes 0xbe and 0xef: whoever strikes a key out with '#' gives it to that name.
TEST(KeyList, AKeyThatWasStruckOutIsNobodys) {
  std::string wrong;
  const auto list = KeyList::parse("#beef:" + kKey + "\nbob:" + kKey, wrong);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->key_of("\xbe\xef"), nullptr);
  EXPECT_EQ(list->key_of("#beef"), nullptr);
  EXPECT_EQ(wrong_with("#bob:" + kKey), "there is no key in it (psktool makes them)");
}

TEST(KeyList, SaysWhichLineIsNone) {
  const std::vector<std::string> lines{"alice",
                                       ":" + kKey,
                                       "alice:",
                                       "alice:" + kKey + "0",
                                       "alice:" + kKey.substr(2),
                                       "a:b:" + kKey,
                                       "alice:" + kKey + " ",
                                       "al\x01ice:" + kKey,
                                       "al\xc3\xa4ice:" + kKey,
                                       std::string(256, 'a') + ":" + kKey};
  for (const std::string& line : lines) {
    EXPECT_EQ(wrong_with("bob:" + kKey + "\n" + line).substr(0, 10), "line 2 is ") << line;
  }
  EXPECT_EQ(wrong_with("bob:" + kKey + "\nbob:" + kKey), "line 2: bob has a key already");
  EXPECT_NE(wrong_with("").find("no key"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
