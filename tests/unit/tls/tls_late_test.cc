// What a client may do once TLS stands, besides sending: new keys, records without bytes, warnings, another handshake.
#include <algorithm>

#include "tls_harness.h"

namespace lockstep {
namespace {

class TlsLateTest : public testing::Test {
 protected:
  void establish(const char* version) {
    fds = narrow_pair();
    server = std::make_unique<TlsSession>(loaded(keys.files("server", ca.server(), ca.pem())), Side::server_for_clients,
                                          fds.first.get());
    client = std::make_unique<PlainClient>(fds.second.get(), std::string("NORMAL:-VERS-ALL:") + version);
    client->shows(keys.files("client", ca.client(), ""));
    ASSERT_EQ(shake_hands(*server, *client), kBothDone) << server->failure();
  }
  // Until nothing more is there, or so often: events would come as long as there is.
  int receive_until_dry(Bytes& came) {
    int end = EAGAIN;
    for (int i = 0; i < 50 && end == EAGAIN && (i == 0 || readable(fds.first.get())); ++i) end = receive_all(*server, came);
    return end;
  }

  KeyDirectory keys;
  Authority ca;
  std::pair<UniqueFd, UniqueFd> fds;
  std::unique_ptr<TlsSession> server;
  std::unique_ptr<PlainClient> client;
};

TEST_F(TlsLateTest, NewKeysChangeNothing) {
  ASSERT_NO_FATAL_FAILURE(establish("+VERS-TLS1.3"));
  const Bytes data = random_bytes(1000, 1);
  Bytes sent;
  Bytes came;
  for (const unsigned peer_too : {0u, unsigned{GNUTLS_KU_PEER}}) {
    ASSERT_EQ(client->send(data), 1000);
    ASSERT_EQ(gnutls_session_key_update(client->session(), peer_too), 0);
    ASSERT_EQ(client->send(data), 1000);
    for (int i = 0; i < 2; ++i) sent.insert(sent.end(), data.begin(), data.end());
    EXPECT_EQ(receive_until_dry(came), EAGAIN);
    EXPECT_TRUE(came == sent);
    ASSERT_EQ(send(*server, data), 1000);
    Bytes back(1000);
    ssize_t n = GNUTLS_E_AGAIN;
    for (int i = 0; i < 3 && n == GNUTLS_E_AGAIN; ++i) n = client->receive(back);
    EXPECT_EQ(n, 1000);
    EXPECT_EQ(back, data);
  }
  EXPECT_EQ(server->unread_in_part(), 0u);
}

TEST_F(TlsLateTest, AGoodbyeOfAnotherProgramIsOne) {
  for (const char* version : {"+VERS-TLS1.2", "+VERS-TLS1.3"}) {
    ASSERT_NO_FATAL_FAILURE(establish(version));
    gnutls_bye(client->session(), GNUTLS_SHUT_WR);
    Bytes came;
    EXPECT_EQ(receive_until_dry(came), 0);
  }
}

TEST_F(TlsLateTest, AFatalAlertIsNoGoodbye) {
  for (const char* version : {"+VERS-TLS1.2", "+VERS-TLS1.3"}) {
    ASSERT_NO_FATAL_FAILURE(establish(version));
    gnutls_alert_send(client->session(), GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR);
    Bytes came;
    EXPECT_EQ(receive_until_dry(came), ECONNRESET);
  }
}

TEST_F(TlsLateTest, ThereIsNoSecondHandshake) {
  ASSERT_NO_FATAL_FAILURE(establish("+VERS-TLS1.2"));
  EXPECT_EQ(client->handshake(), Progress::needs_input);  // has said hello
  Bytes came;
  EXPECT_EQ(receive_until_dry(came), ECONNRESET);
  EXPECT_TRUE(came.empty());
}

TEST_F(TlsLateTest, AWarningDoesNoHarm) {
  ASSERT_NO_FATAL_FAILURE(establish("+VERS-TLS1.2"));
  gnutls_alert_send(client->session(), GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED);
  const Bytes data = random_bytes(100, 2);
  ASSERT_EQ(client->send(data), 100);
  Bytes came;
  EXPECT_EQ(receive_until_dry(came), EAGAIN);
  EXPECT_EQ(came, data);
}

// Nobody may keep the loop busy with them.
TEST_F(TlsLateTest, WarningsWithoutEndDo) {
  ASSERT_NO_FATAL_FAILURE(establish("+VERS-TLS1.2"));
  Bytes came;
  int end = EAGAIN;
  int warnings = 0;
  for (; warnings < 1000 && end == EAGAIN; ++warnings) {
    gnutls_alert_send(client->session(), GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED);
    end = receive_until_dry(came);
  }
  EXPECT_EQ(end, ECONNRESET);
  EXPECT_GT(warnings, 2);
}

// GnuTLS cannot do that by itself with a record that it could not send.
TEST_F(TlsLateTest, NewKeysMayBeAskedForWhileARecordIsHalfSent) {
  ASSERT_NO_FATAL_FAILURE(establish("+VERS-TLS1.3"));
  const Bytes data = random_bytes(16384, 3);
  ASSERT_LT(send(*server, data), 0);
  ASSERT_EQ(gnutls_session_key_update(client->session(), GNUTLS_KU_PEER), 0);
  Bytes came;
  EXPECT_EQ(receive_until_dry(came), EAGAIN);
  Bytes back(20'000);
  size_t there = 0;
  size_t sent = 0;
  for (int i = 0; i < 100 && there < data.size(); ++i) {
    if (sent < data.size()) {
      const ssize_t n = send(*server, std::span(data).subspan(sent));
      if (n < 0) {
        ASSERT_EQ(errno, EAGAIN);
      }
      if (n > 0) sent += static_cast<size_t>(n);
    }
    const ssize_t n = client->receive(std::span(back).subspan(there));
    if (n > 0) there += static_cast<size_t>(n);
  }
  EXPECT_EQ(there, data.size());
}

// What lies in the socket behind them counts as waiting, and they themselves do not.
TEST_F(TlsLateTest, NewKeysAreNoBytesOfTheStream) {
  ASSERT_NO_FATAL_FAILURE(establish("+VERS-TLS1.3"));
  ASSERT_EQ(gnutls_session_key_update(client->session(), 0), 0);
  Bytes came;
  EXPECT_EQ(receive_until_dry(came), EAGAIN);
  EXPECT_EQ(server->unread_in_part(), 0u);
}

}  // namespace
}  // namespace lockstep
