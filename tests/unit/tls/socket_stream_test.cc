// A socket with and without TLS, as its owner sees it.
#include "shell/tls/socket_stream.h"

#include <algorithm>

#include "tls_harness.h"

namespace lockstep {
namespace {

class SocketStreamTest : public testing::Test {
 protected:
  SocketStreamTest() : fds(narrow_pair()), stream(std::move(fds.first)) {}
  void secure() {
    stream.secure(loaded(keys.files("server", ca.server(), ca.pem())), Side::server_for_clients);
    client = std::make_unique<TlsSession>(loaded(keys.files("client", ca.client(), ca.pem())), Side::connecting, fds.second.get(),
                                          std::vector<std::string>{"localhost"});
    ASSERT_EQ(shake_hands(*stream.tls(), *client), kBothDone);
  }
  ssize_t receive_into(std::span<std::byte> to) {
    const std::array<iovec, 1> part{{{to.data(), to.size()}}};
    return stream.receive(part);
  }

  KeyDirectory keys;
  Authority ca;
  std::pair<UniqueFd, UniqueFd> fds;
  SocketStream stream;
  std::unique_ptr<TlsSession> client;
};

TEST_F(SocketStreamTest, InTheClearItIsTheSocket) {
  EXPECT_EQ(stream.tls(), nullptr);
  EXPECT_EQ(stream.unreceived(), 0);
  const Bytes data = random_bytes(100, 1);
  ASSERT_EQ(::send(fds.second.get(), data.data(), data.size(), 0), 100);
  EXPECT_EQ(stream.unreceived(), 100);
  EXPECT_FALSE(stream.pending());
  Bytes first(30);
  Bytes second(100);
  const std::array<iovec, 2> parts{{{first.data(), first.size()}, {second.data(), second.size()}}};
  ASSERT_EQ(stream.receive(parts), 100);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), data.begin()));
  EXPECT_TRUE(std::equal(second.begin(), second.begin() + 70, data.begin() + 30));
  EXPECT_LT(receive_into(first), 0);
  EXPECT_EQ(errno, EAGAIN);
  const std::array<iovec, 2> out{{{first.data(), 10}, {second.data(), 5}}};
  EXPECT_EQ(stream.send(out), 15);
  fds.second = UniqueFd();
  EXPECT_EQ(receive_into(first), -1) << "it left 15 bytes unread";
  EXPECT_EQ(errno, ECONNRESET);
}

// For the rule about old writes: whatever has come counts, wherever it is.
TEST_F(SocketStreamTest, WhatHasComeIsCountedWhereverItIs) {
  ASSERT_NO_FATAL_FAILURE(secure());
  EXPECT_EQ(stream.unreceived(), 0);
  const Bytes data = random_bytes(16384, 2);
  size_t came = 0;
  bool in_part = false;
  bool pending = false;
  size_t sent = 0;
  Bytes piece(1500);
  while (came < 3 * data.size()) {
    if (sent < 3) sent += send(*client, data) > 0 ? 1 : 0;
    const ssize_t n = receive_into(piece);
    if (n > 0) came += static_cast<size_t>(n);
    pending = pending || stream.pending();
    in_part = in_part || (!stream.pending() && stream.tls()->unread_in_part() > 0);
    // What the client has not been told to be sent may be here all the same: never less.
    ASSERT_GE(stream.unreceived() + static_cast<int64_t>(came), static_cast<int64_t>(sent * data.size()));
  }
  EXPECT_TRUE(in_part);
  EXPECT_TRUE(pending);
  EXPECT_EQ(stream.unreceived(), 0);
}

TEST_F(SocketStreamTest, ClosingSaysGoodbye) {
  ASSERT_NO_FATAL_FAILURE(secure());
  stream.close();
  EXPECT_FALSE(stream.open());
  EXPECT_EQ(stream.tls(), nullptr);
  EXPECT_EQ(stream.unreceived(), -1);
  EXPECT_FALSE(stream.pending());
  Bytes came;
  EXPECT_EQ(receive_all(*client, came), 0);
  stream.close();  // once more does no harm
}

// Nothing is to be taken for TLS that is none, nor the reverse.
TEST_F(SocketStreamTest, ClosingInTheHandshakeSaysNothing) {
  stream.secure(loaded(keys.files("server", ca.server(), ca.pem())), Side::server_for_clients);
  EXPECT_EQ(stream.tls()->handshake(), Progress::needs_input);
  stream.close();
  std::byte byte;
  EXPECT_EQ(::recv(fds.second.get(), &byte, 1, 0), 0);
}

}  // namespace
}  // namespace lockstep
