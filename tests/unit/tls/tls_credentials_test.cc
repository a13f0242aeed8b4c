// Files that can be used, and what is said of those that cannot.
#include "shell/tls/tls_credentials.h"

#include "authority.h"

namespace lockstep {
namespace {

constexpr const char* kKey = "00112233445566778899aabbccddeeff";

class TlsCredentialsTest : public testing::Test {
 protected:
  TlsFiles good() { return keys.files("server", ca.server(), ca.pem()); }
  std::string complaint(const TlsFiles& files) {
    std::string wrong;
    EXPECT_EQ(TlsCredentials::load(files, wrong), nullptr);
    return wrong;
  }
  std::shared_ptr<const TlsCredentials> load(const TlsFiles& files) {
    std::string wrong;
    auto credentials = TlsCredentials::load(files, wrong);
    EXPECT_NE(credentials, nullptr) << wrong;
    return credentials;
  }
  TlsFiles with_keys(const std::string& text) {
    TlsFiles files;
    files.psk = keys.put("psk", text);
    return files;
  }
  void expect_named(const std::string& text, const std::string& path, const std::string& what) {
    EXPECT_NE(text.find(path), std::string::npos) << text;
    EXPECT_NE(text.find(what), std::string::npos) << text;
  }

  KeyDirectory keys;
  Authority ca;
};

TEST_F(TlsCredentialsTest, ACertificateWithItsKeyIsEnough) {
  TlsFiles files = good();
  files.ca.clear();
  const auto is = load(files);
  EXPECT_NE(is->x509(), nullptr);
  EXPECT_EQ(is->psk(), nullptr);
  EXPECT_FALSE(is->asks_for_certificates());
  EXPECT_FALSE(is->names_who_may());
  EXPECT_TRUE(is->allows({}));
  EXPECT_TRUE(load(good())->asks_for_certificates());
}

TEST_F(TlsCredentialsTest, PreSharedKeysAreEnough) {
  const auto is = load(with_keys(std::string("# two\n\nalice:") + kKey + "\nbob:" + kKey + kKey + "\n"));
  EXPECT_EQ(is->x509(), nullptr);
  EXPECT_NE(is->psk(), nullptr);
}

TEST_F(TlsCredentialsTest, NothingIsNotEnough) {
  EXPECT_EQ(complaint({}), "neither a certificate nor pre-shared keys are given");
  TlsFiles files;
  files.allow = keys.put("allow", "psk:alice\n");
  EXPECT_EQ(complaint(files), "neither a certificate nor pre-shared keys are given");
}

TEST_F(TlsCredentialsTest, AFileThatIsNotThereIsNamed) {
  const std::string missing = keys.path("missing");
  for (std::string TlsFiles::*const which :
       {&TlsFiles::certificate, &TlsFiles::key, &TlsFiles::ca, &TlsFiles::psk, &TlsFiles::allow}) {
    TlsFiles files = good();
    files.*which = missing;
    EXPECT_EQ(complaint(files), "cannot read " + missing + ": No such file or directory");
  }
}

TEST_F(TlsCredentialsTest, ADirectoryIsNoFile) {
  TlsFiles files = good();
  files.allow = keys.path("");
  EXPECT_EQ(complaint(files), "cannot read " + files.allow + ": Is a directory");
}

// (Not tried: base64 that is no certificate. GnuTLS 3.7.9 loses 168 bytes over it.)
TEST_F(TlsCredentialsTest, ACertificateThatIsNoneIsNamed) {
  for (const char* text : {"junk\n", ""}) {
    TlsFiles files = good();
    files.certificate = keys.put("bad", text);
    expect_named(complaint(files), files.certificate, "certificate");
  }
}

TEST_F(TlsCredentialsTest, AKeyThatIsNoneIsNamed) {
  TlsFiles files = good();
  files.key = keys.put("bad", "junk\n");
  const std::string text = complaint(files);
  expect_named(text, files.key, "key");
  expect_named(text, files.certificate, "certificate");
}

TEST_F(TlsCredentialsTest, AnothersKeyIsNamed) {
  TlsFiles files = good();
  files.key = keys.put("others.key", ca.server().key);
  expect_named(complaint(files), files.key, "match");
}

TEST_F(TlsCredentialsTest, AnAuthorityThatIsNoneIsNamed) {
  for (const std::string& text : {std::string("junk\n"), ca.server().key}) {
    TlsFiles files = good();
    files.ca = keys.put("bad", text);
    expect_named(complaint(files), files.ca, "certificate authority");
  }
}

// GnuTLS would refuse each client by itself, and say nothing of the file.
TEST_F(TlsCredentialsTest, KeysThatAreNoneAreNamed) {
  for (const std::string& line :
       {std::string("alice"), std::string("alice:"), std::string(":") + kKey, std::string("alice:") + kKey + "0",
        std::string("alice:0011"), std::string("alice:") + kKey + " ", std::string("alice:zz") + kKey, std::string("# nobody")}) {
    const TlsFiles files = with_keys(line + "\n");
    expect_named(complaint(files), files.psk, "psktool");
  }
  const TlsFiles second = with_keys(std::string("alice:") + kKey + "\nbob\n");
  expect_named(complaint(second), second.psk, "line 2");
}

TEST_F(TlsCredentialsTest, AListSaysWhoMay) {
  TlsFiles files = good();
  files.allow = keys.put("allow", "dn:CN=client1\n");
  const auto is = load(files);
  EXPECT_TRUE(is->names_who_may());
  EXPECT_TRUE(is->allows({"dns:x", "dn:CN=client1"}));
  EXPECT_FALSE(is->allows({"dns:x"}));
  EXPECT_FALSE(is->allows({}));
}

TEST_F(TlsCredentialsTest, AListThatIsNoneIsNamedWithItsLine) {
  TlsFiles files = good();
  files.allow = keys.put("allow", "dn:CN=a\nCN=client1\n");
  expect_named(complaint(files), files.allow, "line 2: \"CN=client1\" is no name");
}

// Whoever strikes out the last name means nobody.
TEST_F(TlsCredentialsTest, AnEmptyListLetsNobodyIn) {
  TlsFiles files = good();
  files.allow = keys.put("allow", "");
  const auto is = load(files);
  ASSERT_NE(is, nullptr);
  EXPECT_TRUE(is->names_who_may());
  EXPECT_FALSE(is->allows({"dn:CN=client1"}));
}

}  // namespace
}  // namespace lockstep
