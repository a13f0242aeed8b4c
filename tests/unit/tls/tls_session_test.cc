// TLS over a socket that has little room: the handshake, bytes, and ends.
#include "shell/tls/tls_session.h"

#include <algorithm>

#include "tls_harness.h"

namespace lockstep {
namespace {

TEST(TlsSession, BothSidesGetThroughTheHandshake) {
  for (const Side side : {Side::server_for_clients, Side::server_for_nodes}) {
    TlsPair pair(side);
    EXPECT_FALSE(pair.server->established());
    EXPECT_EQ(pair.server->handshake(), Progress::needs_input) << "nobody has said anything";
    EXPECT_FALSE(pair.server->wants_output());
    pair.established();
    EXPECT_TRUE(pair.server->established());
    EXPECT_TRUE(pair.client->established());
    EXPECT_TRUE(pair.server->failure().empty());
    EXPECT_FALSE(pair.server->pending());
    EXPECT_EQ(pair.server->unread_in_part(), 0u);
    EXPECT_EQ(pair.server->identity().shown, "certificate CN=client1");
    EXPECT_EQ(pair.client->identity().names, (std::vector<std::string>{"dn:CN=localhost", "dns:localhost"}));
  }
}

TEST(TlsSession, AHandshakeThatHasNoRoomWantsOutput) {
  KeyDirectory keys;
  Authority ca;
  Wish wish{.names = {{GNUTLS_SAN_DNSNAME, "localhost"}}};
  for (int i = 0; i < 300; ++i) wish.names.push_back({GNUTLS_SAN_DNSNAME, "another-name-" + std::to_string(i) + ".example"});
  const auto fds = narrow_pair();
  TlsSession server(loaded(keys.files("server", ca.issue(wish), ca.pem())), Side::server_for_clients, fds.first.get());
  TlsSession client(loaded(keys.files("client", ca.client(), ca.pem())), Side::connecting, fds.second.get(),
                    std::vector<std::string>{"localhost"});
  EXPECT_EQ(client.handshake(), Progress::needs_input);
  EXPECT_EQ(server.handshake(), Progress::needs_output);
  EXPECT_TRUE(server.wants_output());
  EXPECT_EQ(server.handshake(), Progress::needs_output) << "there is still no room";
  EXPECT_EQ(shake_hands(server, client), kBothDone) << server.failure() << " / " << client.failure();
}

// One direction of a flood: pieces of any size, in any number of parts.
class Flood {
 public:
  explicit Flood(Bytes data, uint64_t seed) : data_(std::move(data)), came_(data_.size()), random_(seed) {}
  bool over() const { return received_ == data_.size(); }
  bool right() const { return came_ == data_; }

  void send_some(TlsSession& to) {
    if (sent_ == data_.size()) return;
    const ssize_t n = to.send(parts(data_, sent_, std::min(data_.size() - sent_, at_most(100'000))));
    if (n < 0) {
      ASSERT_EQ(errno, EAGAIN);
      return;
    }
    ASSERT_GT(n, 0);
    sent_ += static_cast<size_t>(n);
    ASSERT_LE(sent_, data_.size());
  }
  void receive_some(TlsSession& from) {
    const size_t wanted = std::min(came_.size() - received_, at_most(60'000));
    if (wanted == 0) return;
    const ssize_t n = from.receive(parts(came_, received_, wanted));
    if (n < 0) {
      ASSERT_EQ(errno, EAGAIN);
      return;
    }
    ASSERT_GT(n, 0);
    ASSERT_LE(static_cast<size_t>(n), wanted);
    received_ += static_cast<size_t>(n);
  }

 private:
  size_t at_most(size_t most) { return random_() % 4 == 0 ? 1 + random_() % 100 : 1 + random_() % most; }
  std::span<const iovec> parts(Bytes& of, size_t at, size_t size) {
    iovecs_.clear();
    while (size > 0 && iovecs_.size() < 20) {
      const size_t part = iovecs_.size() == 19 ? size : std::min(size, at_most(20'000));
      iovecs_.push_back({of.data() + at, part});
      at += part;
      size -= part;
    }
    return iovecs_;
  }

  Bytes data_;
  Bytes came_;
  std::mt19937_64 random_;
  std::vector<iovec> iovecs_;
  size_t sent_ = 0;
  size_t received_ = 0;
};

TEST(TlsSession, MuchGoesBothWaysAtOnceAndArrivesAsItWas) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  constexpr size_t kBytes = size_t{8} << 20;
  Flood there(random_bytes(kBytes, 1), 3);
  Flood back(random_bytes(kBytes, 2), 4);
  for (int i = 0; i < 1'000'000 && !(there.over() && back.over()); ++i) {
    ASSERT_NO_FATAL_FAILURE(there.send_some(*pair.client));
    ASSERT_NO_FATAL_FAILURE(back.send_some(*pair.server));
    ASSERT_NO_FATAL_FAILURE(there.receive_some(*pair.server));
    ASSERT_NO_FATAL_FAILURE(back.receive_some(*pair.client));
  }
  ASSERT_TRUE(there.over() && back.over());
  EXPECT_TRUE(there.right());
  EXPECT_TRUE(back.right());
  EXPECT_FALSE(pair.server->pending());
}

TEST(TlsSession, ARecordThatDoesNotFitIsFinishedByTheNextSend) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(size_t{1} << 20, 5);
  for (const size_t piece : {size_t{700}, size_t{40'000}}) {  // gathered first, or sent from where they are
    Bytes came;
    size_t sent = 0;
    int full = 0;
    while (sent < data.size()) {
      const ssize_t n = send(*pair.server, std::span(data).subspan(sent, std::min(piece, data.size() - sent)));
      if (n > 0) {
        sent += static_cast<size_t>(n);
        continue;
      }
      ASSERT_EQ(errno, EAGAIN);
      ++full;
      ASSERT_LT(send(*pair.server, std::span(data).subspan(sent, piece)), 0) << "there is still no room";
      // The next one may bring more behind the same bytes: what is finished is the record as it was.
      ssize_t rest = -1;
      for (int i = 0; rest < 0 && i < 20; ++i) {
        ASSERT_EQ(errno, EAGAIN);
        ASSERT_EQ(receive_all(*pair.client, came), EAGAIN);
        ASSERT_LE(came.size(), sent) << "what was not taken has arrived";
        rest = send(*pair.server, std::span(data).subspan(sent));
      }
      ASSERT_GT(rest, 0);
      ASSERT_LE(static_cast<size_t>(rest), std::max(piece, size_t{16384}));
      sent += static_cast<size_t>(rest);
    }
    EXPECT_GT(full, 10);
    EXPECT_EQ(receive_all(*pair.client, came), EAGAIN);
    EXPECT_TRUE(came == data);
  }
}

TEST(TlsSession, WhatIsLeftOfARecordIsPending) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(1000, 6);
  ASSERT_EQ(send(*pair.client, data), 1000);
  EXPECT_FALSE(pair.server->pending());
  EXPECT_TRUE(readable(pair.fds.first.get()));
  Bytes came(1000);
  ASSERT_EQ(receive(*pair.server, std::span(came).first(1)), 1);
  EXPECT_TRUE(pair.server->pending());
  EXPECT_FALSE(readable(pair.fds.first.get())) << "no event will tell of the rest";
  EXPECT_GE(pair.server->unread_in_part(), 999u);
  ASSERT_EQ(receive(*pair.server, std::span(came).subspan(1, 998)), 998);
  EXPECT_TRUE(pair.server->pending());
  EXPECT_GE(pair.server->unread_in_part(), 1u);
  ASSERT_EQ(receive(*pair.server, std::span(came).subspan(999)), 1);
  EXPECT_FALSE(pair.server->pending());
  EXPECT_EQ(pair.server->unread_in_part(), 0u);
  EXPECT_EQ(came, data);
  EXPECT_LT(receive(*pair.server, came), 0);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(TlsSession, OneCallTakesSeveralRecordsIntoSeveralParts) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(900, 7);
  for (size_t at = 0; at < 900; at += 300) ASSERT_EQ(send(*pair.client, std::span(data).subspan(at, 300)), 300);
  Bytes first(250);
  Bytes second(1000);
  const std::array<iovec, 2> parts{{{first.data(), first.size()}, {second.data(), second.size()}}};
  ASSERT_EQ(pair.server->receive(parts), 900);
  first.insert(first.end(), second.begin(), second.begin() + 650);
  EXPECT_EQ(first, data);
}

TEST(TlsSession, PartOfARecordIsCounted) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(16384, 8);
  ASSERT_LT(send(*pair.client, data), 0) << "the socket has no room for all of it";
  Bytes came;
  EXPECT_EQ(receive_all(*pair.server, came), EAGAIN);
  EXPECT_TRUE(came.empty());
  EXPECT_FALSE(pair.server->pending());
  const size_t first = pair.server->unread_in_part();
  EXPECT_GT(first, 1000u);
  while (send(*pair.client, data) < 0) {
    ASSERT_EQ(errno, EAGAIN);
    EXPECT_EQ(receive_all(*pair.server, came), EAGAIN);
    ASSERT_TRUE(came.empty());
    EXPECT_GT(pair.server->unread_in_part(), first);
  }
  EXPECT_EQ(receive_all(*pair.server, came), EAGAIN);
  EXPECT_EQ(came, data);
  EXPECT_EQ(pair.server->unread_in_part(), 0u);
}

// --- ends ------------------------------------------------------------------------------------------------

TEST(TlsSession, AGoodbyeIsAnEnd) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(100, 9);
  ASSERT_EQ(send(*pair.client, data), 100);
  pair.client->say_goodbye();
  pair.fds.second = UniqueFd();
  Bytes came;
  EXPECT_EQ(receive_all(*pair.server, came), 0);
  EXPECT_EQ(came, data);
  EXPECT_EQ(receive_all(*pair.server, came), 0) << "it stays one";
  EXPECT_EQ(pair.server->unread_in_part(), 0u);
}

TEST(TlsSession, WhoHasSaidGoodbyeMayStillBeAnswered) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  pair.client->say_goodbye();
  Bytes came;
  EXPECT_EQ(receive_all(*pair.server, came), 0);
  const Bytes data = random_bytes(500, 10);
  ASSERT_EQ(send(*pair.server, data), 500);
  pair.server->say_goodbye();
  EXPECT_EQ(receive_all(*pair.client, came), 0);
  EXPECT_EQ(came, data);
}

// No event tells of a goodbye that was in the socket with the bytes, while the socket stays open.
TEST(TlsSession, AnEndBehindBytesIsPending) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(100, 9);
  ASSERT_EQ(send(*pair.client, data), 100);
  pair.client->say_goodbye();
  Bytes came(1000);
  ASSERT_EQ(receive(*pair.server, came), 100);
  EXPECT_FALSE(readable(pair.fds.first.get()));
  EXPECT_TRUE(pair.server->pending());
  EXPECT_EQ(receive(*pair.server, came), 0);
  EXPECT_FALSE(pair.server->pending()) << "it has been told";
}

TEST(TlsSession, AStreamThatJustEndsWasCutOff) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(100, 11);
  ASSERT_EQ(send(*pair.client, data), 100);
  pair.fds.second = UniqueFd();
  Bytes came;
  EXPECT_EQ(receive_all(*pair.server, came), ECONNRESET);
  EXPECT_EQ(came, data) << "what had come whole is there";
  EXPECT_EQ(receive_all(*pair.server, came), ECONNRESET);
}

TEST(TlsSession, AGoodbyeIsNotPutBehindHalfARecord) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  const Bytes data = random_bytes(16384, 12);
  ASSERT_LT(send(*pair.client, data), 0);
  pair.client->say_goodbye();
  Bytes came;
  EXPECT_EQ(receive_all(*pair.server, came), EAGAIN);
  pair.fds.second = UniqueFd();
  EXPECT_EQ(receive_all(*pair.server, came), ECONNRESET);
  EXPECT_TRUE(came.empty());
}

TEST(TlsSession, SendingToNobodyIsAnErrorAndNoSignal) {
  TlsPair pair;
  ASSERT_NO_FATAL_FAILURE(pair.established());
  pair.fds.second = UniqueFd();
  const Bytes data = random_bytes(100, 13);
  EXPECT_LT(send(*pair.server, data), 0);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST(TlsSession, WhoHangsUpInTheHandshakeHasFailed) {
  TlsPair pair;
  EXPECT_EQ(pair.client->handshake(), Progress::needs_input);
  EXPECT_EQ(pair.server->handshake(), Progress::needs_input);
  pair.fds.second = UniqueFd();
  EXPECT_EQ(pair.server->handshake(), Progress::failed);
  EXPECT_FALSE(pair.server->failure().empty());
  EXPECT_FALSE(pair.server->established());
  EXPECT_EQ(pair.server->handshake(), Progress::failed) << "it stays so";
}

}  // namespace
}  // namespace lockstep
