// The NBD port of a resource with clients that speak TLS.
#include <poll.h>

#include "client_tls_harness.h"

namespace lockstep {
namespace {

TEST_F(ClientTlsTest, AClientIsWhoItHasProvedToBe) {
  start();
  const SecretClient client = open_secret("alice");
  ASSERT_EQ(port->clients().size(), 1u);
  const ClientView is = port->clients()[0];
  EXPECT_EQ(is.client, "certificate CN=alice");
  EXPECT_TRUE(is.tls);
  EXPECT_TRUE(is.local);
  EXPECT_EQ(is.export_name, "r0/0");
  const UniqueFd other = open_export();
  ASSERT_EQ(port->clients().size(), 2u);
  EXPECT_EQ(port->clients()[1].client, "uid " + std::to_string(::geteuid()));
  EXPECT_FALSE(port->clients()[1].tls);
}

TEST_F(ClientTlsTest, WhoWritesGoesByThat) {
  start();
  const SecretClient alice = open_secret("alice");
  const SecretClient bob = open_secret("bob");
  const SecretClient sister = open_secret("alice");
  EXPECT_EQ(offered & nbd::kTransReadOnly, 0);
  send(alice, request(nbd::Command::write, 0, 512, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first();
  EXPECT_EQ(reply(alice), nbd::WireError::none);
  send(bob, request(nbd::Command::write, 0, 512, 512));
  EXPECT_EQ(reply(bob), nbd::WireError::eperm);
  send(sister, request(nbd::Command::write, 4096, 512, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first();
  EXPECT_EQ(reply(sister), nbd::WireError::none);
  const SecretClient late = open_secret("bob");
  EXPECT_NE(offered & nbd::kTransReadOnly, 0);
}

TEST_F(ClientTlsTest, WhatIsReadComesBackAsItWas) {
  settings.pool_bytes = size_t{8} << 20;
  start();
  BufferPool pool(size_t{8} << 20);
  const SecretClient client = open_secret("alice");
  constexpr uint32_t kLength = 1 << 20;
  send(client, request(nbd::Command::read, 0, kLength));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  BufferRef data = pool.allocate(kLength);
  for (size_t i = 0; i < kLength; ++i) data->data()[i] = static_cast<std::byte>(i * 7 + i / 4096);
  const Bytes wanted(data->data(), data->data() + kLength);
  answer_first(std::move(data));
  EXPECT_EQ(reply(client), nbd::WireError::none);
  ASSERT_TRUE(receive(client, kLength));
  EXPECT_TRUE(received == wanted);
  EXPECT_TRUE(until([&] { return pool.bytes_out() == 0; }));
}

// --- memory ----------------------------------------------------------------------------------------------

// Records that are decrypted already, and of which no event tells, while a session takes nothing: it goes on when it may.
TEST_F(ClientTlsTest, APipelineIsServedToTheEndWhileMemoryIsShort) {
  settings.shared_writers = true;
  start();
  const UniqueFd hog = open_export();
  send(hog, request(nbd::Command::write, 32 << 20, 64 * 1024, 64 * 1024));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));  // has all the memory there is
  const SecretClient client = open_secret("alice");
  constexpr size_t kWrites = 300;
  Bytes all;
  for (size_t i = 0; i < kWrites; ++i) {
    const uint32_t length = i % 3 == 0 ? 4096 : 512;
    const Bytes next = request(nbd::Command::write, i * 4096, length, length);
    all.insert(all.end(), next.begin(), next.end());
  }
  size_t sent = 0;
  looks(5);
  size_t answers = 0;
  size_t writes = 0;
  Bytes replies(nbd::kSimpleReplyBytes * kWrites);
  EXPECT_TRUE(until([&] {
    sent += send_some(client, all, sent);
    // One at a time, and only when nothing else happens: each has to go on by itself.
    if (!submitted.empty()) {
      ++writes;
      answer_first();
    }
    const std::array<iovec, 1> part{{{replies.data() + answers, replies.size() - answers}}};
    const ssize_t n = answers == replies.size() ? 0 : client.tls->receive(part);
    if (n > 0) answers += static_cast<size_t>(n);
    return answers == replies.size();
  })) << sent
      << " of " << all.size() << " bytes taken, " << answers / nbd::kSimpleReplyBytes << " answers";
  EXPECT_EQ(writes, kWrites + 1);
}

// A request waits for memory, and the rest of it is in a record that is decrypted: the socket is empty, and no event comes any more.
TEST_F(ClientTlsTest, WhatIsLeftInARecordGoesOnWhenThereIsMemory) {
  settings.shared_writers = true;
  start();
  const UniqueFd hog = open_export();
  send(hog, request(nbd::Command::write, 32 << 20, 32 * 1024, 32 * 1024));
  send(hog, request(nbd::Command::write, 33 << 20, 16 * 1024, 16 * 1024));
  ASSERT_TRUE(until([&] { return submitted.size() == 2; }));
  const SecretClient client = open_secret("alice");
  Bytes all = request(nbd::Command::write, 0, 16 * 1024, 16 * 1024);  // takes what memory is left
  const Bytes second = request(nbd::Command::write, 1 << 20, 31 * 512, 31 * 512);
  all.insert(all.end(), second.begin(), second.end());
  ASSERT_LT(all.size(), 2u * 16384) << "the second ends where the second record does";
  send(client, all);
  ASSERT_TRUE(until([&] { return submitted.size() == 3; }));
  looks(5);
  ASSERT_EQ(submitted.size(), 3u);
  answer_first();
  EXPECT_TRUE(until([&] { return submitted.size() == 3; })) << "it was forgotten";
}

// More than a session takes at once (256 requests) is in one record.
TEST_F(ClientTlsTest, MoreRequestsThanItTakesAtOnceAreServedOneAfterTheOther) {
  start();
  const SecretClient client = open_secret("alice");
  constexpr size_t kFlushes = 580;  // 16240 bytes
  Bytes all;
  for (size_t i = 0; i < kFlushes; ++i) {
    const Bytes next = request(nbd::Command::flush, 0, 0);
    all.insert(all.end(), next.begin(), next.end());
  }
  send(client, all);
  size_t answered = 0;
  EXPECT_TRUE(until([&] {
    while (!submitted.empty()) {
      answer_first();
      ++answered;
    }
    Bytes taken(4096);
    const std::array<iovec, 1> part{{{taken.data(), taken.size()}}};
    static_cast<void>(client.tls->receive(part));
    return answered == kFlushes;
  })) << answered;
}

// A large write: its payload is received to the last byte, in pieces of records, and what lies behind it in the last record comes after it.
TEST_F(ClientTlsTest, APayloadThatEndsWithinARecordLeavesTheRestToTheNextRequest) {
  settings.pool_bytes = size_t{4} << 20;
  start();
  const SecretClient client = open_secret("alice");
  Bytes all;
  for (const uint32_t length : {100 * 1024u, 512u, 33 * 512u, 1024 * 1024u, 512u}) {
    const size_t at = all.size();
    const Bytes next = request(nbd::Command::write, 0, length, length);
    all.insert(all.end(), next.begin(), next.end());
    for (size_t i = at + nbd::kRequestBytes; i < all.size(); ++i) all[i] = static_cast<std::byte>(i * 31);
  }
  size_t sent = 0;
  ASSERT_TRUE(until([&] {
    sent += send_some(client, all, sent);
    return submitted.size() == 5;
  }));
  size_t at = 0;
  for (const auto& [asked, payload] : submitted) {
    at += nbd::kRequestBytes;
    ASSERT_EQ(payload->size(), asked.range.length);
    EXPECT_EQ(std::memcmp(payload->data(), all.data() + at, payload->size()), 0);
    at += payload->size();
  }
}

// --- who may come in -------------------------------------------------------------------------------------

TEST_F(ClientTlsTest, AListSaysWhoMayOpenAnExport) {
  allow("dn:CN=alice\n");
  start();
  const SecretClient alice = secured("alice");
  send(alice, go());
  EXPECT_EQ(answered(alice), nbd::OptionReply::info);
  const SecretClient bob = secured("bob");
  send(bob, go());
  EXPECT_EQ(answered(bob), nbd::OptionReply::err_policy);
  EXPECT_EQ(said, "certificate CN=bob is not among those who may open exports here");
  send(bob, option(nbd::Option::export_name, "r0"));
  EXPECT_EQ(end_of(bob), 0);
  const UniqueFd local = open_export();  // it was let in by the socket's permissions
  EXPECT_FALSE(closed(local));
}

TEST_F(ClientTlsTest, AChangedListCountsForTheNextConnection) {
  allow("dn:CN=alice\n");
  start();
  const SecretClient before = secured("alice");
  const SecretClient client = open_secret("alice");
  allow("dn:CN=bob\n");
  send(before, go());
  EXPECT_EQ(answered(before), nbd::OptionReply::info) << "it had proved its name to the former list";
  const SecretClient after = secured("alice");
  send(after, go());
  EXPECT_EQ(answered(after), nbd::OptionReply::err_policy);
  const SecretClient bob = secured("bob");
  send(bob, go());
  EXPECT_EQ(answered(bob), nbd::OptionReply::info);
  EXPECT_EQ(told.size(), 1u);
  EXPECT_EQ(port->open_exports(), 3u) << "who is in stays";
}

TEST_F(ClientTlsTest, WhoDoesNotGetThroughIsTurnedOut) {
  start();
  const UniqueFd junk = about_to_begin();
  send(junk, Bytes(100, std::byte{0xff}));
  EXPECT_TRUE(until([&] { return closed(junk) || port->connections() == 0; }));
  Authority another("another");
  SecretClient stranger;
  stranger.fd = about_to_begin();
  std::string wrong;
  stranger.tls = std::make_unique<TlsSession>(
      TlsCredentials::load(directory_of_keys.files("x", another.client("alice"), authority.pem()), wrong),
      TlsSession::Side::connecting, stranger.fd.get(), std::vector<std::string>{"localhost"});
  until([&] { return stranger.tls->handshake() != TlsSession::Progress::needs_input; });
  EXPECT_TRUE(until([&] { return port->connections() == 0; }));
}

TEST_F(ClientTlsTest, TheHandshakeIsBoundedInTime) {
  start();
  const UniqueFd silent = about_to_begin();
  EXPECT_TRUE(until([&] { return closed(silent); }));
  EXPECT_EQ(port->connections(), 0u);
}

TEST_F(ClientTlsTest, WhoHangsUpInTheHandshakeIsGone) {
  settings.client_look = seconds(60);
  start();
  UniqueFd quick = about_to_begin();
  quick = UniqueFd();
  SecretClient later = begun("alice");
  EXPECT_EQ(later.tls->handshake(), TlsSession::Progress::needs_input);
  for (int i = 0; i < 5; ++i) loop->run_once(milliseconds(1));
  later.fd = UniqueFd();
  EXPECT_TRUE(until([&] { return port->connections() == 0; }));
}

// --- ends ------------------------------------------------------------------------------------------------

TEST_F(ClientTlsTest, AShutdownAnswersUnderTlsAndSaysGoodbye) {
  start();
  const SecretClient client = open_secret("alice");
  send(client, request(nbd::Command::flush, 0, 0));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  port->shut_down_clients();
  EXPECT_EQ(reply(client), nbd::WireError::eshutdown);
  EXPECT_EQ(end_of(client), 0);
}

// In the same turn of the loop as the client's last word: the shutdown came first, and what it ended does not begin any more.
TEST_F(ClientTlsTest, AShutdownInTheHandshakeIsOne) {
  start();
  SecretClient client = begun("alice");
  EXPECT_EQ(client.tls->handshake(), TlsSession::Progress::needs_input);
  pollfd is{client.fd.get(), POLLIN, 0};
  ASSERT_TRUE(until([&] { return ::poll(&is, 1, 0) > 0; }));    // the port's part of it has come
  for (int i = 0; i < 3; ++i) loop->run_once(milliseconds(1));  // now it waits for both of what follows
  loop->post([this] { port->shut_down_clients(); });
  ASSERT_EQ(client.tls->handshake(), TlsSession::Progress::done) << "its last word is in the socket";
  EXPECT_TRUE(until([&] { return port->connections() == 0; }));
}

TEST_F(ClientTlsTest, WhoSaysGoodbyeIsAnsweredAndLetGo) {
  start();
  const SecretClient client = open_secret("alice");
  send(client, request(nbd::Command::flush, 0, 0));
  client.tls->say_goodbye();
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first();
  EXPECT_EQ(reply(client), nbd::WireError::none);
  EXPECT_EQ(end_of(client), 0) << "it waits for that, and keeps its socket open meanwhile";
}

}  // namespace
}  // namespace lockstep
