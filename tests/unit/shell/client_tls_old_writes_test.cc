// Old writes (docs/nbd.md) of clients that speak TLS: what has come counts, whether or not it is a whole record.
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "client_tls_harness.h"

namespace lockstep {
namespace {

// Between the client's TLS and the port's socket: passes on what and when the test says.
class OldWritesUnderTls : public ClientTlsTest {
 protected:
  struct Slow {
    SecretClient client;  // its socket leads to `far`
    UniqueFd far;
    UniqueFd port;
  };
  static void pass_all(const UniqueFd& from, const UniqueFd& to) {
    Bytes bytes(64 * 1024);
    const ssize_t n = ::recv(from.get(), bytes.data(), bytes.size(), 0);
    if (n > 0) {
      EXPECT_EQ(::send(to.get(), bytes.data(), static_cast<size_t>(n), MSG_NOSIGNAL), n);
    }
  }
  Slow open_slow(const std::string& name) {
    Slow slow;
    slow.client = begun(name);
    slow.port = std::move(slow.client.fd);
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
    slow.client.fd = UniqueFd(fds[0]);
    slow.far = UniqueFd(fds[1]);
    std::string wrong;
    auto shown = TlsCredentials::load(directory_of_keys.files(name, authority.client(name), authority.pem()), wrong);
    slow.client.tls = std::make_unique<TlsSession>(std::move(shown), TlsSession::Side::connecting, slow.client.fd.get(),
                                                   std::vector<std::string>{"localhost"});
    EXPECT_TRUE(until([&] {
      const bool done = slow.client.tls->handshake() == TlsSession::Progress::done;
      pass_all(slow.far, slow.port);
      pass_all(slow.port, slow.far);
      return done;
    }));
    send(slow.client, option(nbd::Option::export_name, "r0"));
    pass_all(slow.far, slow.port);
    EXPECT_TRUE(receive(slow, 10));
    return slow;
  }
  // What the client's TLS makes of it, and does not leave yet.
  Bytes sealed(const Slow& slow, const Bytes& bytes) {
    EXPECT_EQ(send_some(slow.client, bytes, 0), bytes.size());
    Bytes record(64 * 1024);
    const ssize_t n = ::recv(slow.far.get(), record.data(), record.size(), 0);
    EXPECT_GT(n, 0);
    record.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
    return record;
  }
  // The port has all of it.
  void taken(const UniqueFd& from) {
    EXPECT_TRUE(until([&] {
      int waiting = 0;
      EXPECT_EQ(::ioctl(from.get(), SIOCOUTQ, &waiting), 0);
      return waiting == 0;
    }));
  }
  using ClientTlsTest::receive;
  bool receive(const Slow& slow, size_t count) {
    received.assign(count, {});
    size_t got = 0;
    return until([&] {
      pass_all(slow.port, slow.far);
      const std::array<iovec, 1> part{{{received.data() + got, count - got}}};
      const ssize_t n = got == count ? 0 : slow.client.tls->receive(part);
      if (n > 0) got += static_cast<size_t>(n);
      return got == count;
    });
  }
  nbd::WireError reply(const Slow& slow) {
    EXPECT_TRUE(receive(slow, nbd::kSimpleReplyBytes));
    return static_cast<nbd::WireError>(get_be<uint32_t>(received.data() + 4));
  }
  // As the same client: it writes, and has its answer.
  void write_by_another(uint64_t offset, const std::string& name = "alice") {
    const SecretClient young = open_secret(name);
    send(young, request(nbd::Command::write, offset, 512, 512));
    ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
    answer_first();
    EXPECT_EQ(ClientTlsTest::reply(young), nbd::WireError::none);
  }
  // How a write ends whose record came before another connection wrote at `offset`, but for its last byte.
  nbd::WireError outcome_beside(uint64_t offset) {
    const Slow old = open_slow("alice");
    const Bytes record = sealed(old, request(nbd::Command::write, 0, 4096, 4096));
    send(old.port, Bytes(record.begin(), record.end() - 1));
    taken(old.port);
    write_by_another(offset);
    send(old.port, Bytes(record.end() - 1, record.end()));
    taken(old.port);
    looks(2);
    if (!submitted.empty()) answer_first();
    return reply(old);
  }
};

TEST_F(OldWritesUnderTls, AChangeThatNobodyOvertookIsMade) {
  start();
  EXPECT_EQ(outcome_beside(1 << 20), nbd::WireError::none);
}

TEST_F(OldWritesUnderTls, AChangeWhoseRecordHasBegunToArriveCounts) {
  start();
  EXPECT_EQ(outcome_beside(512), nbd::WireError::eshutdown);
}

TEST_F(OldWritesUnderTls, AChangeThatHasBegunToArriveCounts) {
  start();
  const SecretClient old = open_secret("alice");
  const Bytes write = request(nbd::Command::write, 0, 4096, 4096);
  send(old, Bytes(write.begin(), write.begin() + 1000));
  taken(old.fd);
  write_by_another(512);
  send(old, Bytes(write.begin() + 1000, write.end()));
  EXPECT_EQ(ClientTlsTest::reply(old), nbd::WireError::eshutdown);
  EXPECT_TRUE(submitted.empty());
}

// Behind more requests than a session takes at once: in a record that is decrypted in part, and in the socket.
TEST_F(OldWritesUnderTls, AChangeThatWaitsInARecordOrInTheSocketCounts) {
  settings.core.max_client_ops = 200;
  for (const size_t flushes : {size_t{400}, size_t{5000}}) {
    SCOPED_TRACE(flushes);
    start();
    const SecretClient old = open_secret("alice");
    Bytes all;
    for (size_t i = 0; i < flushes; ++i) {
      const Bytes flush = request(nbd::Command::flush, 0, 0);
      all.insert(all.end(), flush.begin(), flush.end());
    }
    const Bytes write = request(nbd::Command::write, 0, 512, 512);
    all.insert(all.end(), write.begin(), write.end());
    size_t sent = 0;
    ASSERT_TRUE(until([&] {
      sent += send_some(old, all, sent);
      return sent == all.size() && submitted.size() == settings.core.max_client_ops;
    }));
    const SecretClient young = open_secret("alice");
    send(young, request(nbd::Command::write, 0, 512, 512));
    ASSERT_TRUE(until([&] { return port->clients().back().requests == 1; }));
    size_t writes = 0;
    size_t refused = 0;
    size_t answers = 0;
    Bytes replies;
    EXPECT_TRUE(until([&] {
      while (!submitted.empty()) {
        writes += submitted.front().first.kind == OpKind::write ? 1 : 0;
        answer_first();
      }
      Bytes piece(nbd::kSimpleReplyBytes * 64);
      const std::array<iovec, 1> part{{{piece.data(), piece.size()}}};
      const ssize_t n = old.tls->receive(part);
      if (n > 0) replies.insert(replies.end(), piece.begin(), piece.begin() + n);
      for (; (answers + 1) * nbd::kSimpleReplyBytes <= replies.size(); ++answers) {
        const auto error = get_be<uint32_t>(replies.data() + answers * nbd::kSimpleReplyBytes + 4);
        refused += error == static_cast<uint32_t>(nbd::WireError::eshutdown) ? 1 : 0;
      }
      return answers == flushes + 1;
    })) << answers;
    EXPECT_EQ(writes, 1u) << "the younger one's";
    EXPECT_EQ(refused, 1u);
    EXPECT_EQ(ClientTlsTest::reply(young), nbd::WireError::none);
    port.reset();
    submitted.clear();
  }
}

TEST_F(OldWritesUnderTls, AnotherNamesChangesSayNothing) {
  settings.shared_writers = true;
  start();
  const SecretClient old = open_secret("alice");
  const Bytes write = request(nbd::Command::write, 0, 4096, 4096);
  send(old, Bytes(write.begin(), write.begin() + 1000));
  taken(old.fd);
  write_by_another(512, "bob");
  send(old, Bytes(write.begin() + 1000, write.end()));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first();
  EXPECT_EQ(ClientTlsTest::reply(old), nbd::WireError::none);
}

TEST_F(OldWritesUnderTls, WhatComesAfterwardsIsNew) {
  start();
  const SecretClient old = open_secret("alice");
  send(old, request(nbd::Command::flush, 0, 0));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first();
  EXPECT_EQ(ClientTlsTest::reply(old), nbd::WireError::none);
  write_by_another(0);
  send(old, request(nbd::Command::write, 0, 512, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first();
  EXPECT_EQ(ClientTlsTest::reply(old), nbd::WireError::none);
}

}  // namespace
}  // namespace lockstep
