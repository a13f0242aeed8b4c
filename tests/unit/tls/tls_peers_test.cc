// Who is believed, who is not, and what is said then.
#include "tls_harness.h"

namespace lockstep {
namespace {

class TlsPeersTest : public testing::Test {
 protected:
  TlsPeersTest() : fds(narrow_pair()) {}

  void serve(const TlsFiles& files, Side side = Side::server_for_clients) {
    server = std::make_unique<TlsSession>(loaded(files), side, fds.first.get());
  }
  void serve() { serve(keys.files("server", ca.server(), ca.pem())); }
  void call(const TlsFiles& files, const std::string& expected = "localhost") {
    client = std::make_unique<TlsSession>(loaded(files), Side::connecting, fds.second.get(), std::vector<std::string>{expected});
  }
  // The client shows `who`, and the server does not believe it: why not.
  std::string refused(const Issued& who) {
    serve();
    call(keys.files("client", who, ca.pem()));
    EXPECT_EQ(shake_hands(*server, *client).first, Progress::failed);
    EXPECT_FALSE(server->established());
    return server->failure();
  }
  // The server shows `who`, and the client does not believe it.
  std::string not_believed(const Issued& who, const std::string& expected = "localhost") {
    serve(keys.files("server", who, ca.pem()));
    call(keys.files("client", ca.client(), ca.pem()), expected);
    const auto outcome = shake_hands(*server, *client);
    EXPECT_EQ(outcome, (std::pair{Progress::failed, Progress::failed}));
    EXPECT_EQ(server->failure().find("the other side says: "), 0u) << server->failure();
    return client->failure();
  }
  void expect_in(const std::string& text, const std::string& what) { EXPECT_NE(text.find(what), std::string::npos) << text; }

  KeyDirectory keys;
  Authority ca;
  std::pair<UniqueFd, UniqueFd> fds;
  std::unique_ptr<TlsSession> server;
  std::unique_ptr<TlsSession> client;
};

constexpr const char* kKey = "00112233445566778899aabbccddeeff";
constexpr const char* kTls12 = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
constexpr const char* kTls13 = "NORMAL:-VERS-ALL:+VERS-TLS1.3";

// --- clients' certificates -------------------------------------------------------------------------------

TEST_F(TlsPeersTest, AStrangersCertificateIsRefused) {
  Authority another("authority");  // that has the same name
  expect_in(refused(another.client()), "NOT trusted");
}

// The server says whom it believes, and the client has nothing of that.
TEST_F(TlsPeersTest, AClientOfAnotherAuthorityHasNothingToShow) {
  Authority another("another");
  EXPECT_EQ(refused(another.client()), "Certificate is required.");
}

TEST_F(TlsPeersTest, AnExpiredCertificateIsRefused) {
  expect_in(refused(ca.issue({.common_name = "c", .begins = -7200, .ends = -3600})), "expired");
}

TEST_F(TlsPeersTest, ACertificateOfTheFutureIsRefused) {
  expect_in(refused(ca.issue({.common_name = "c", .begins = 3600, .ends = 7200})), "not yet valid");
}

TEST_F(TlsPeersTest, AServersCertificateIsNoClients) { expect_in(refused(ca.server()), "purpose"); }

TEST_F(TlsPeersTest, ACertificateForAnyPurposeIsOne) {
  serve();
  call(keys.files("client", ca.issue({.common_name = "c"}), ca.pem()));
  EXPECT_EQ(shake_hands(*server, *client), kBothDone) << server->failure();
}

TEST_F(TlsPeersTest, WhoShowsNoneIsRefused) {
  for (const char* version : {kTls12, kTls13}) {
    fds = narrow_pair();
    serve();
    PlainClient bare(fds.second.get(), version);
    bare.anonymous();
    EXPECT_EQ(shake_hands(*server, bare).first, Progress::failed);
    expect_in(server->failure(), "ertificate");
    EXPECT_TRUE(server->identity().shown.empty());
    EXPECT_TRUE(server->identity().names.empty());
  }
}

TEST_F(TlsPeersTest, WhereNoneIsAskedForNoneIsNeededAndNothingIsProved) {
  for (const char* version : {kTls12, kTls13}) {
    fds = narrow_pair();
    serve(keys.files("server", ca.server(), ""));
    PlainClient bare(fds.second.get(), version);
    bare.shows(keys.files("client", ca.client(), ""));
    EXPECT_EQ(shake_hands(*server, bare), kBothDone);
    EXPECT_TRUE(server->identity().shown.empty());
    EXPECT_TRUE(server->identity().names.empty());
  }
}

TEST_F(TlsPeersTest, ClientsMaySpeakTls12AndNodesMayNot) {
  for (const Side side : {Side::server_for_clients, Side::server_for_nodes}) {
    fds = narrow_pair();
    serve(keys.files("server", ca.server(), ca.pem()), side);
    PlainClient old(fds.second.get(), kTls12);
    old.shows(keys.files("client", ca.client(), ""));
    const bool in = shake_hands(*server, old) == kBothDone;
    EXPECT_EQ(in, side == Side::server_for_clients);
    if (in) {
      EXPECT_EQ(server->identity().shown, "certificate CN=client1");
    }
  }
}

TEST_F(TlsPeersTest, NobodySpeaksLessThanTls12) {
  serve();
  PlainClient old(fds.second.get(), "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0");
  old.shows(keys.files("client", ca.client(), ""));
  EXPECT_EQ(shake_hands(*server, old).first, Progress::failed);
}

// Half a second of the loop's time for a few bytes that cost the client nothing (CVE-2002-20001): finite fields are not offered.
TEST_F(TlsPeersTest, NobodyMakesItCountInFiniteFields) {
  for (const char* group : {":+GROUP-FFDHE2048", ":+GROUP-FFDHE8192"}) {
    for (const Side side : {Side::server_for_clients, Side::server_for_nodes}) {
      fds = narrow_pair();
      serve(keys.files("server", ca.server(), ca.pem()), side);
      PlainClient caller(fds.second.get(), std::string(kTls13) + ":-GROUP-ALL" + group);
      caller.shows(keys.files("client", ca.client(), ""));
      EXPECT_EQ(shake_hands(*server, caller).first, Progress::failed);
    }
  }
}

// --- servers' certificates -------------------------------------------------------------------------------

TEST_F(TlsPeersTest, AServerOfAnotherAuthorityIsNotBelieved) {
  Authority another("authority");
  expect_in(not_believed(another.server()), "NOT trusted");
}

TEST_F(TlsPeersTest, AServerOfAnotherNameIsNotBelieved) { expect_in(not_believed(ca.server("elsewhere")), "not for localhost"); }

TEST_F(TlsPeersTest, AClientsCertificateIsNoServers) {
  expect_in(not_believed(ca.issue({.names = {{GNUTLS_SAN_DNSNAME, "localhost"}}, .purpose = GNUTLS_KP_TLS_WWW_CLIENT})),
            "purpose");
}

TEST_F(TlsPeersTest, AServerIsBelievedByItsAddress) {
  const std::string address{char(127), 0, 0, 1};
  serve(keys.files("server", ca.issue({.common_name = "x", .names = {{GNUTLS_SAN_IPADDRESS, address}}}), ca.pem()));
  call(keys.files("client", ca.client(), ca.pem()), "127.0.0.1");
  EXPECT_EQ(shake_hands(*server, *client), kBothDone) << client->failure();
  fds = narrow_pair();
  expect_in(not_believed(ca.issue({.common_name = "x", .names = {{GNUTLS_SAN_IPADDRESS, address}}}), "127.0.0.2"),
            "not for 127.0.0.2");
}

TEST_F(TlsPeersTest, WithoutAnExpectedNameAnyOfTheAuthorityIs) {
  serve(keys.files("server", ca.server("elsewhere"), ca.pem()));
  client = std::make_unique<TlsSession>(loaded(keys.files("client", ca.client(), ca.pem())), Side::connecting, fds.second.get());
  EXPECT_EQ(shake_hands(*server, *client), kBothDone) << client->failure();
}

// --- who it is -------------------------------------------------------------------------------------------

TEST_F(TlsPeersTest, ACertificatesNamesAreProved) {
  serve();
  Wish wish{.common_name = "c", .organization = "Example"};
  wish.names = {{GNUTLS_SAN_DNSNAME, "a.example"}, {GNUTLS_SAN_URI, "urn:x"}};
  call(keys.files("client", ca.issue(wish), ca.pem()));
  ASSERT_EQ(shake_hands(*server, *client), kBothDone) << server->failure();
  const TlsSession::Identity is = server->identity();
  EXPECT_EQ(is.shown, "certificate CN=c,O=Example");
  EXPECT_EQ(is.names, (std::vector<std::string>{"dn:CN=c,O=Example", "dns:a.example", "uri:urn:x"}));
}

TEST_F(TlsPeersTest, ANameThatIsToFoolATerminalIsShownHarmlessly) {
  serve();
  call(keys.files("client", ca.issue({.common_name = "a\x1b[2J\nuid 0"}), ca.pem()));
  ASSERT_EQ(shake_hands(*server, *client), kBothDone) << server->failure();
  EXPECT_EQ(server->identity().shown, "certificate CN=a?[2J?uid 0 (42576b488f27062d)");
  EXPECT_EQ(server->identity().names.front(), "dn:CN=a\x1b[2J\nuid 0") << "what is compared is what it is";
}

// Neither a user of this machine, nor an address, nor the owner of a key: whatever the certificate says.
TEST_F(TlsPeersTest, NoCertificateMakesAnotherKindOfClient) {
  for (const char* name : {"uid 0", "psk alice", "192.0.2.1", "certificate CN=x"}) {
    fds = narrow_pair();
    serve();
    call(keys.files("client", ca.issue({.common_name = name}), ca.pem()));
    ASSERT_EQ(shake_hands(*server, *client), kBothDone) << server->failure();
    EXPECT_EQ(server->identity().shown, std::string("certificate CN=") + name);
  }
}

// --- pre-shared keys -------------------------------------------------------------------------------------

class TlsKeysTest : public TlsPeersTest {
 protected:
  TlsFiles files(bool certificate) {
    TlsFiles files;
    if (certificate) files = keys.files("server", ca.server(), ca.pem());
    files.psk = keys.put("psk", std::string("alice:") + kKey + "\nbob:" + kKey + "ff\n");
    return files;
  }
  Progress try_key(const TlsFiles& files, const std::string& name, const std::string& key, const std::string& priority) {
    fds = narrow_pair();
    serve(files);
    PlainClient caller(fds.second.get(), priority);
    caller.knows(name, key);
    return shake_hands(*server, caller).first;
  }
  const std::vector<std::string> kPriorities = {std::string(kTls12) + ":-KX-ALL:+ECDHE-PSK", std::string(kTls13) + ":+ECDHE-PSK"};
};

TEST_F(TlsKeysTest, WhoKnowsAKeyIsItsOwner) {
  for (const bool certificate : {false, true}) {
    for (const std::string& priority : kPriorities) {
      SCOPED_TRACE(priority);
      ASSERT_EQ(try_key(files(certificate), "alice", kKey, priority), Progress::done) << server->failure();
      EXPECT_EQ(server->identity().shown, "psk alice");
      EXPECT_EQ(server->identity().names, std::vector<std::string>{"psk:alice"});
    }
  }
}

TEST_F(TlsKeysTest, WhoDoesNotIsRefusedAndNotToldWhich) {
  for (const std::string& priority : kPriorities) {
    SCOPED_TRACE(priority);
    ASSERT_EQ(try_key(files(true), "alice", std::string(kKey) + "ff", priority), Progress::failed) << "bob's key";
    const std::string wrong_key = server->failure();
    EXPECT_FALSE(wrong_key.empty());
    ASSERT_EQ(try_key(files(true), "mallory", kKey, priority), Progress::failed) << "an unknown name";
    EXPECT_EQ(server->failure(), wrong_key);
  }
}

TEST_F(TlsKeysTest, ACertificateDoesBesideKeys) {
  serve(files(true));
  call(keys.files("client", ca.client(), ca.pem()));
  ASSERT_EQ(shake_hands(*server, *client), kBothDone) << server->failure();
  EXPECT_EQ(server->identity().shown, "certificate CN=client1");
}

TEST_F(TlsKeysTest, KeysDoNotExcuseFromACertificate) {
  serve(files(true));
  PlainClient bare(fds.second.get(), kTls13);
  bare.anonymous();
  EXPECT_EQ(shake_hands(*server, bare).first, Progress::failed);
  EXPECT_TRUE(server->identity().names.empty());
}

TEST_F(TlsKeysTest, NodesHaveNoUseForKeys) {
  serve(files(true), Side::server_for_nodes);
  PlainClient caller(fds.second.get(), kPriorities.back());
  caller.knows("alice", kKey);
  EXPECT_NE(shake_hands(*server, caller).first, Progress::done);
  EXPECT_FALSE(server->established());
}

}  // namespace
}  // namespace lockstep
