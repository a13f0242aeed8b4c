#include "shell/tls/allow_list.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

AllowList list_of(std::string_view text) {
  std::string wrong;
  auto list = AllowList::parse(text, wrong);
  EXPECT_TRUE(list.has_value()) << wrong;
  return list.value_or(AllowList{});
}

std::string complaint(std::string_view text) {
  std::string wrong;
  EXPECT_FALSE(AllowList::parse(text, wrong).has_value()) << text;
  return wrong;
}

TEST(AllowList, NamesOfEachKindAreFound) {
  const AllowList list =
      list_of("dn:CN=client1,O=Example\ndns:a.example\nip:192.0.2.1\nip:2001:db8::1\nemail:a@example\nuri:urn:x\npsk:alice\n");
  for (const char* name : {"dn:CN=client1,O=Example", "dns:a.example", "ip:192.0.2.1", "ip:2001:db8::1", "email:a@example",
                           "uri:urn:x", "psk:alice"})
    EXPECT_TRUE(list.has_any_of({name})) << name;
  EXPECT_TRUE(list.has_any_of({"dns:other", "psk:alice"})) << "one of several names is enough";
}

TEST(AllowList, AWholeNameIsMeant) {
  const AllowList list = list_of("dn:CN=client1,O=Example\npsk:alice\ndns:a.example");
  for (const char* name : {"dn:CN=client1", "dn:CN=client1,O=Example,C=DE", "dn:cn=client1,O=Example", "psk:alic", "psk:alice2",
                           "psk:Alice", "dns:alice", "alice", "dns:A.example", "dns:*.example", "dns:a.example.", ""})
    EXPECT_FALSE(list.has_any_of({name})) << name;
  EXPECT_FALSE(list.has_any_of({std::string("psk:alice\0", 10)}));
  EXPECT_FALSE(list.has_any_of({std::string("psk:alice\0x", 11)}));
  EXPECT_FALSE(list.has_any_of({}));
}

TEST(AllowList, NoPatternIsAPattern) {
  const AllowList list = list_of("dns:*.example\npsk:*\n");
  EXPECT_FALSE(list.has_any_of({"dns:a.example", "psk:alice"}));
  EXPECT_TRUE(list.has_any_of({"psk:*"}));
}

TEST(AllowList, RemarksBlanksAndLineEndsOfOtherSystemsAreSkipped) {
  const AllowList list = list_of("# dns:remark\n\n  \t\r\n  dns:a \t\r\n\t#psk:b\npsk:c#d\n\r\npsk:last");
  EXPECT_TRUE(list.has_any_of({"dns:a"}));
  EXPECT_TRUE(list.has_any_of({"psk:c#d"})) << "a name may have a '#'";
  EXPECT_TRUE(list.has_any_of({"psk:last"}));
  for (const char* name : {"dns:remark", "psk:b", "psk:c", "dns:a ", "dns:a\r"}) EXPECT_FALSE(list.has_any_of({name})) << name;
}

TEST(AllowList, WhatIsInsideANameStays) {
  const AllowList list = list_of("dn:CN=Big  Client, Ltd,O=A B\npsk:a:b");
  EXPECT_TRUE(list.has_any_of({"dn:CN=Big  Client, Ltd,O=A B"}));
  EXPECT_TRUE(list.has_any_of({"psk:a:b"}));
  EXPECT_FALSE(list.has_any_of({"dn:CN=Big Client, Ltd,O=A B", "psk:a"}));
}

TEST(AllowList, AnEmptyListLetsNobodyIn) {
  for (const char* text : {"", "\n", "# nobody\n"}) EXPECT_FALSE(list_of(text).has_any_of({"psk:alice", "dn:CN=a", ""}));
}

TEST(AllowList, WhatIsNoNameIsNotGuessedAt) {
  EXPECT_EQ(complaint("psk:a\n\nCN=three\n"),
            "line 3: \"CN=three\" is no name; write dn:, dns:, ip:, email:, uri: or psk: and the name");
  for (const char* text : {"psk:", "dns: ", "DNS:a", "dns", ":a", "user:a", "dns :a", "psk:a\nx", "\"psk:a\""})
    EXPECT_NE(complaint(text).find("is no name"), std::string::npos);
  EXPECT_EQ(complaint("\r\n# r\r\nx").substr(0, 7), "line 3:");
}

}  // namespace
}  // namespace lockstep
