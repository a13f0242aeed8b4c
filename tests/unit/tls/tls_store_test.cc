// Credentials that follow their files.
#include "shell/tls/tls_store.h"

#include "authority.h"

namespace lockstep {
namespace {

class TlsStoreTest : public testing::Test {
 protected:
  void open() {
    files = keys.files("server", ca.server(), ca.pem());
    files.allow = keys.put("allow", "dn:CN=one\n");
    std::string wrong;
    store = TlsStore::open(
        files, [this](const std::string& text) { told.push_back(text); }, wrong);
    ASSERT_NE(store, nullptr) << wrong;
  }
  bool allowed(const std::string& name) { return store->current()->allows({name}); }

  KeyDirectory keys;
  Authority ca;
  TlsFiles files;
  std::unique_ptr<TlsStore> store;
  std::vector<std::string> told;
};

TEST_F(TlsStoreTest, WhatCannotBeUsedIsNotOpened) {
  std::string wrong;
  EXPECT_EQ(TlsStore::open({}, {}, wrong), nullptr);
  EXPECT_FALSE(wrong.empty());
}

TEST_F(TlsStoreTest, FilesThatStayAreLoadedOnce) {
  open();
  const auto first = store->current();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(store->current(), first);
  EXPECT_TRUE(told.empty());
}

TEST_F(TlsStoreTest, AChangeCountsForTheNextThatAsks) {
  open();
  const auto first = store->current();
  keys.put("allow", "dn:CN=two\n");
  EXPECT_TRUE(allowed("dn:CN=two"));
  EXPECT_FALSE(allowed("dn:CN=one"));
  EXPECT_TRUE(first->allows({"dn:CN=one"})) << "who has the former ones keeps them";
  EXPECT_EQ(told, std::vector<std::string>{"TLS: keys and certificates were loaded again"});
}

TEST_F(TlsStoreTest, AChangeWithinAFileIsSeen) {
  open();
  std::ofstream(files.allow, std::ios::app) << "dn:CN=two\n";
  EXPECT_TRUE(allowed("dn:CN=one"));
  EXPECT_TRUE(allowed("dn:CN=two"));
}

TEST_F(TlsStoreTest, EachFileIsLookedAt) {
  open();
  auto last = store->current();
  const Issued renewed = ca.server();
  const std::vector<std::function<void()>> changes = {
      [&] {
        keys.put("server.cert", renewed.certificate);
        store->current();  // not its key: cannot be used
        keys.put("server.key", renewed.key);
      },
      [&] { keys.put("server.ca", Authority("another").pem()); },
      [&] { keys.put("allow", "dn:CN=one\n"); },
  };
  for (const auto& change : changes) {
    change();
    EXPECT_NE(store->current(), last);
    last = store->current();
  }
}

// A certificate is renewed in two steps. In between there is no pair, and what was there goes on.
TEST_F(TlsStoreTest, WhatCannotBeUsedLeavesInForceWhatWasThere) {
  open();
  const auto first = store->current();
  const Issued renewed = ca.server();
  keys.put("server.cert", renewed.certificate);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(store->current(), first);
  ASSERT_EQ(told.size(), 1u) << "it is told once";
  EXPECT_EQ(told[0].find("TLS: what was loaded before stays in force: certificate " + files.certificate), 0u) << told[0];
  keys.put("server.key", renewed.key);
  EXPECT_NE(store->current(), first);
  EXPECT_EQ(told.size(), 2u);
  EXPECT_EQ(told.back(), "TLS: keys and certificates were loaded again");
}

TEST_F(TlsStoreTest, AFileThatIsGoneAndComesBackIsLoadedAgain) {
  open();
  const auto first = store->current();
  std::filesystem::remove(files.allow);
  EXPECT_EQ(store->current(), first);
  EXPECT_EQ(store->current(), first);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find(files.allow), std::string::npos) << told[0];
  keys.put("allow", "dn:CN=two\n");
  EXPECT_TRUE(allowed("dn:CN=two"));
  EXPECT_EQ(told.size(), 2u);
}

TEST_F(TlsStoreTest, AListThatIsWrongIsToldAndTheFormerOneHolds) {
  open();
  keys.put("allow", "one\n");
  EXPECT_TRUE(allowed("dn:CN=one"));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("line 1: \"one\" is no name"), std::string::npos) << told[0];
}

TEST_F(TlsStoreTest, StrikingOutEverybodyCounts) {
  open();
  keys.put("allow", "");
  EXPECT_FALSE(allowed("dn:CN=one"));
}

}  // namespace
}  // namespace lockstep
