// A wire that somebody else has a hand on: what comes through is what was sent, or nothing.
#include <algorithm>
#include <array>

#include "tls_harness.h"

namespace lockstep {
namespace {

// Carries bytes from one socket to another, and spoils one of them.
class Wire {
 public:
  Wire(int from, int to) : from_(from), to_(to) {}
  void spoil(size_t at, std::byte with) {
    at_ = at;
    with_ = with;
  }
  // False: there was nothing to carry.
  bool carry() {
    std::array<std::byte, 1024> bytes;
    const ssize_t n = ::recv(from_, bytes.data(), bytes.size(), 0);
    if (n <= 0) return false;
    const auto count = static_cast<size_t>(n);
    if (at_ >= carried_ && at_ < carried_ + count) bytes[at_ - carried_] ^= with_;
    carried_ += count;
    if (::send(to_, bytes.data(), count, MSG_NOSIGNAL) != n) to_ = -1;  // has hung up, or does not read
    return true;
  }
  size_t carried() const { return carried_; }

 private:
  int from_;
  int to_;
  size_t carried_ = 0;
  size_t at_ = SIZE_MAX;
  std::byte with_{};
};

class TlsWireTest : public testing::Test {
 protected:
  void SetUp() override {
    served = loaded(keys.files("server", ca.server(), ca.pem()));
    called = loaded(keys.files("client", ca.client(), ca.pem()));
    begin();
  }
  void begin() {
    server.reset();
    client.reset();
    left = narrow_pair();
    right = narrow_pair();
    server = std::make_unique<TlsSession>(served, Side::server_for_clients, left.first.get());
    client = std::make_unique<TlsSession>(called, Side::connecting, right.first.get(), std::vector<std::string>{"localhost"});
    there = std::make_unique<Wire>(right.second.get(), left.second.get());
    back = std::make_unique<Wire>(left.second.get(), right.second.get());
  }
  std::pair<Progress, Progress> hand_shake() {
    std::pair<Progress, Progress> is{Progress::needs_input, Progress::needs_input};
    const auto over = [](Progress progress) { return progress == Progress::done || progress == Progress::failed; };
    bool moved = true;
    for (int i = 0; i < 200 && moved; ++i) {
      if (!over(is.first)) is.first = server->handshake();
      if (!over(is.second)) is.second = client->handshake();
      moved = there->carry();
      moved = back->carry() || moved;
    }
    return is;
  }
  // From the client to the server, as far as it comes. How it ended.
  int move(const Bytes& data, Bytes& came) {
    size_t sent = 0;
    int end = EAGAIN;
    for (int i = 0; i < 10'000 && end == EAGAIN; ++i) {
      if (sent < data.size()) {
        const ssize_t n = send(*client, std::span(data).subspan(sent));
        if (n > 0) sent += static_cast<size_t>(n);
      }
      const bool moved = there->carry();
      end = receive_all(*server, came);
      if (!moved && sent == data.size()) break;
    }
    return end;
  }

  KeyDirectory keys;
  Authority ca;
  std::shared_ptr<const TlsCredentials> served;
  std::shared_ptr<const TlsCredentials> called;
  std::pair<UniqueFd, UniqueFd> left;
  std::pair<UniqueFd, UniqueFd> right;
  std::unique_ptr<TlsSession> server;
  std::unique_ptr<TlsSession> client;
  std::unique_ptr<Wire> there;
  std::unique_ptr<Wire> back;
};

TEST_F(TlsWireTest, WhatIsNotSpoiltArrives) {
  ASSERT_EQ(hand_shake(), kBothDone);
  const Bytes data = random_bytes(100'000, 1);
  Bytes came;
  EXPECT_EQ(move(data, came), EAGAIN);
  EXPECT_TRUE(came == data);
}

TEST_F(TlsWireTest, ASpoiltByteEndsTheSessionAndIsNotDelivered) {
  const Bytes data = random_bytes(40'000, 2);  // three records
  std::mt19937_64 random(3);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    begin();
    ASSERT_EQ(hand_shake(), kBothDone);
    // The first bytes are a record's head, which is not encrypted.
    const size_t at = round < 8 ? static_cast<size_t>(round) : random() % 40'000;
    there->spoil(there->carried() + at, static_cast<std::byte>(1u << (random() % 8)));
    Bytes came;
    const int end = move(data, came);
    ASSERT_LE(came.size(), at) << "the spoilt byte, or what is behind it, was delivered";
    EXPECT_TRUE(std::equal(came.begin(), came.end(), data.begin()));
    if (end == EAGAIN) continue;  // a head that now promises more than will come
    EXPECT_EQ(end, ECONNRESET);
    EXPECT_EQ(receive_all(*server, came), ECONNRESET) << "it does not come to life again";
  }
}

// Spoiling the handshake must not make a session in which the two do not agree on everything.
TEST_F(TlsWireTest, ASpoiltHandshakeFailsOrDoesNotMatter) {
  std::mt19937_64 random(4);
  const Bytes data = random_bytes(5000, 5);
  ASSERT_EQ(hand_shake(), kBothDone);
  const std::array<size_t, 2> lengths{there->carried(), back->carried()};
  int failed = 0;
  for (int round = 0; round < 80; ++round) {
    SCOPED_TRACE(round);
    begin();
    const bool from_client = round % 2 == 0;
    const size_t at = random() % lengths[from_client ? 0 : 1];
    (from_client ? there : back)->spoil(at, static_cast<std::byte>(1u << (random() % 8)));
    if (hand_shake() != kBothDone) {
      ++failed;
      continue;
    }
    EXPECT_EQ(server->identity().shown, "certificate CN=client1");
    Bytes came;
    move(data, came);
    EXPECT_TRUE(std::equal(came.begin(), came.end(), data.begin()));
  }
  EXPECT_GT(failed, 60);
}

TEST_F(TlsWireTest, WhatIsNoTlsFails) {
  for (const size_t size : {1, 5, 16, 300, 20'000}) {
    begin();
    const Bytes junk = random_bytes(size, size);
    for (size_t at = 0; at < size;) {
      const ssize_t n = ::send(left.second.get(), junk.data() + at, std::min<size_t>(size - at, 1000), MSG_NOSIGNAL);
      if (n <= 0 || server->handshake() == Progress::failed) break;
      at += static_cast<size_t>(n);
    }
    left.second = UniqueFd();
    EXPECT_EQ(server->handshake(), Progress::failed);
    EXPECT_FALSE(server->failure().empty());
  }
}

// An end of the stream that somebody on the way makes up is no goodbye.
TEST_F(TlsWireTest, AnEndThatIsMadeUpIsNone) {
  ASSERT_EQ(hand_shake(), kBothDone);
  const std::array<unsigned char, 7> goodbye{0x15, 3, 3, 0, 2, 1, 0};  // in the clear
  ASSERT_EQ(::send(left.second.get(), goodbye.data(), goodbye.size(), 0), 7);
  Bytes came;
  EXPECT_EQ(receive_all(*server, came), ECONNRESET);
}

}  // namespace
}  // namespace lockstep
