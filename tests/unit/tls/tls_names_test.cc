#include "shell/tls/tls_names.h"

#include <gmock/gmock.h>

#include <cstring>

#include "authority.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// `edit` changes the bytes of the certificate, whose signature is nobody's business here.
template <class Edit>
CertificateNames names_in(const std::string& pem, Edit edit) {
  const gnutls_datum_t text{reinterpret_cast<unsigned char*>(const_cast<char*>(pem.data())), static_cast<unsigned>(pem.size())};
  gnutls_datum_t der{};
  EXPECT_EQ(gnutls_pem_base64_decode2("CERTIFICATE", &text, &der), 0);
  edit(der);
  CertificateNames names = names_of_certificate(der);
  gnutls_free(der.data);
  return names;
}

CertificateNames names_of(const Wish& wish) {
  Authority authority;
  return names_in(authority.issue(wish).certificate, [](gnutls_datum_t&) {});
}

// With a NUL where `mark` stands: GnuTLS writes no such certificate, others do.
CertificateNames names_with_nul(const Wish& wish, const std::string& mark) {
  Authority authority;
  size_t found = 0;
  CertificateNames names = names_in(authority.issue(wish).certificate, [&mark, &found](gnutls_datum_t& der) {
    const auto matches = [&mark, &der](unsigned at) { return std::memcmp(der.data + at, mark.data(), mark.size()) == 0; };
    for (unsigned at = 0; at + mark.size() <= der.size; ++at) {
      if (!matches(at)) continue;
      std::memset(der.data + at, 0, mark.size());
      ++found;
    }
  });
  EXPECT_EQ(found, 1u);
  return names;
}

std::string bytes(std::initializer_list<int> values) {
  std::string all;
  for (const int value : values) all.push_back(static_cast<char>(value));
  return all;
}

TEST(CertificateNames, TheSubjectIsOneName) {
  const CertificateNames names = names_of({.common_name = "client1", .organization = "Example"});
  EXPECT_EQ(names.subject, "CN=client1,O=Example");
  EXPECT_THAT(names.all, ElementsAre("dn:CN=client1,O=Example"));
}

TEST(CertificateNames, EachAlternativeIsAName) {
  Wish wish{.common_name = "c"};
  wish.names = {{GNUTLS_SAN_DNSNAME, "a.example"},
                {GNUTLS_SAN_IPADDRESS, bytes({192, 0, 2, 1})},
                {GNUTLS_SAN_IPADDRESS, bytes({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})},
                {GNUTLS_SAN_RFC822NAME, "a@example"},
                {GNUTLS_SAN_URI, "spiffe://example/client"}};
  EXPECT_THAT(names_of(wish).all, ElementsAre("dn:CN=c", "dns:a.example", "ip:192.0.2.1", "ip:2001:db8::1", "email:a@example",
                                              "uri:spiffe://example/client"));
}

// Whatever is written into a name, it is one of its own kind: nobody is taken for a pre-shared key's owner, or for another part of a subject.
TEST(CertificateNames, ANameStaysWithinItsKind) {
  Wish wish{.common_name = "x,O=Example", .organization = "Other"};
  wish.names = {{GNUTLS_SAN_URI, "psk:alice"}, {GNUTLS_SAN_RFC822NAME, "dns:b.example"}};
  EXPECT_THAT(names_of(wish).all, ElementsAre("dn:CN=x\\,O=Example,O=Other", "uri:psk:alice", "email:dns:b.example"));
}

TEST(CertificateNames, ANameWithANulIsLeftOut) {
  for (const auto kind : {GNUTLS_SAN_URI, GNUTLS_SAN_RFC822NAME, GNUTLS_SAN_DNSNAME}) {
    for (const char* name : {"alice.example++++.evil", "alice.example++++", "++++alice.example"}) {
      const CertificateNames names = names_with_nul({.common_name = "c", .names = {{kind, name}, {GNUTLS_SAN_URI, "b"}}}, "++++");
      for (const std::string& is : names.all) EXPECT_EQ(is.find("alice"), std::string::npos) << is;
      EXPECT_EQ(names.all.back(), "uri:b");
    }
  }
}

TEST(CertificateNames, ASubjectWithANulIsNobodyElse) {
  for (const char* name : {"alice++++.evil", "alice++++", "++++alice"}) {
    const CertificateNames names = names_with_nul({.common_name = name}, "++++");
    EXPECT_NE(names.subject, "CN=alice");
    for (const std::string& is : names.all) EXPECT_NE(is, "dn:CN=alice");
  }
}

TEST(CertificateNames, AnAddressOfAnOddSizeIsNone) {
  Wish wish{.common_name = "c"};
  wish.names = {{GNUTLS_SAN_IPADDRESS, bytes({192, 0, 2, 1, 255, 255, 255, 0})}, {GNUTLS_SAN_IPADDRESS, bytes({1, 2, 3})}};
  EXPECT_THAT(names_of(wish).all, ElementsAre("dn:CN=c"));
}

TEST(CertificateNames, ANameThatIsTooLongIsLeftOutAndTheNextIsNot) {
  Wish wish{.common_name = "c"};
  wish.names = {{GNUTLS_SAN_URI, std::string(2000, 'a')}, {GNUTLS_SAN_URI, "b"}};
  EXPECT_THAT(names_of(wish).all, ElementsAre("dn:CN=c", "uri:b"));
}

TEST(CertificateNames, TheirNumberIsBounded) {
  Wish wish{.common_name = "c"};
  for (int i = 0; i < 100; ++i) wish.names.push_back({GNUTLS_SAN_DNSNAME, "a" + std::to_string(i) + ".example"});
  EXPECT_EQ(names_of(wish).all.size(), 65u);
}

TEST(CertificateNames, WhatIsNoCertificateHasNone) {
  std::string junk = "junk";
  for (const unsigned size : {0u, 4u}) {
    const CertificateNames names = names_of_certificate({reinterpret_cast<unsigned char*>(junk.data()), size});
    EXPECT_TRUE(names.subject.empty());
    EXPECT_THAT(names.all, IsEmpty());
  }
}

TEST(Printable, WhatMovesATerminalIsReplaced) {
  EXPECT_EQ(printable("CN=client 1, O=Ex\xc3\xa4mple ~"), "CN=client 1, O=Ex\xc3\xa4mple ~");
  EXPECT_EQ(printable("a\x1b[2Jb\nc\rd\te\x7f"), "a?[2Jb?c?d?e?");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(printable(""), "");
  EXPECT_EQ(printable(std::string(1000, 'x')).size(), 256u);
}

}  // namespace
}  // namespace lockstep
