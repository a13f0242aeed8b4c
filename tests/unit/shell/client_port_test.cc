// The NBD port of a resource against clients that hang up, trickle, do not read, or come in crowds.
#include "client_port_harness.h"
#include "shell/resource/client_pace.h"

namespace lockstep {
namespace {

TEST_F(ClientPortTest, APayloadThatTricklesInGivesItsMemoryToThoseWhoWait) {
  start();
  const UniqueFd slow = open_export();
  send(slow, request(nbd::Command::write, 0, 64 * 1024));
  for (int i = 0; i < 100; ++i) {  // in nobody's way
    send(slow, Bytes(1));
    looks(1);
  }
  EXPECT_FALSE(closed(slow));
  const UniqueFd quick = open_export();
  send(quick, request(nbd::Command::write, 0, 4096, 4096));
  EXPECT_TRUE(until([&] {
    if (!closed(slow)) send(slow, Bytes(1));
    return submitted.size() == 1;
  }));
  EXPECT_TRUE(closed(slow));
  EXPECT_FALSE(closed(quick));
}

TEST_F(ClientPortTest, RepliesThatAreNotTakenAreNotKeptWhileReadsWait) {
  settings.pool_bytes = size_t{8} << 20;
  start();
  BufferPool pool(size_t{8} << 20);
  const UniqueFd deaf = open_export();
  send(deaf, request(nbd::Command::read, 0, 4 << 20));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first(pool.allocate(4 << 20));
  looks(50);
  EXPECT_FALSE(closed(deaf)) << "nobody needs the memory";
  EXPECT_EQ(pool.bytes_out(), size_t{4} << 20);
  reads_wait = true;
  EXPECT_TRUE(until([&] { return pool.bytes_out() == 0; }));
  EXPECT_EQ(port->connections(), 0u);
}

TEST_F(ClientPortTest, WhoWaitsForAnAnswerIsLeftInPeace) {
  start();
  reads_wait = true;
  const UniqueFd client = open_export();
  send(client, request(nbd::Command::write, 0, 64 * 1024, 64 * 1024));
  const UniqueFd other = open_export();
  send(other, request(nbd::Command::write, 0, 4096, 4096));  // waits for the memory that the parked one holds
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  looks(2 * ClientPace::kLooksWithoutByte);
  EXPECT_FALSE(closed(client));
  EXPECT_FALSE(closed(other));
  answer_first();
  EXPECT_TRUE(receive(client, nbd::kSimpleReplyBytes));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first();
  EXPECT_TRUE(receive(other, nbd::kSimpleReplyBytes));
}

TEST_F(ClientPortTest, AClientThatIsGoneHoldsNothingOpenWhileItsRequestsAreParked) {
  start();
  UniqueFd client = open_export();
  send(client, request(nbd::Command::write, 0, 4096, 4096));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  EXPECT_EQ(port->open_exports(), 1u);
  client = UniqueFd();
  EXPECT_TRUE(until([&] { return port->open_exports() == 0; }));
  EXPECT_TRUE(until([&] { return port->connections() == 0; }));
  answer_first();  // goes nowhere
}

// Two volumes of a resource: what a client asks of the second lies behind the first, and is counted apart.
TEST_F(ClientPortTest, ARequestIsWhereItsExportBegins) {
  start();
  const UniqueFd first = open_export();
  base = 12 << 20;
  const UniqueFd second = open_export();
  send(second, request(nbd::Command::write, 8192, 4096, 4096));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  EXPECT_EQ(submitted[0].first.range, (Range{(12 << 20) + 8192, 4096}));
  answer_first();
  send(first, request(nbd::Command::read, 8192, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  EXPECT_EQ(submitted[0].first.range, (Range{8192, 512}));
  EXPECT_EQ(port->traffic(0).bytes_written, 0u);
  EXPECT_EQ(port->traffic(0).bytes_read, 512u);
  EXPECT_EQ(port->traffic(base).bytes_written, 4096u);
  EXPECT_TRUE(port->traffic(base).open);
  EXPECT_FALSE(port->traffic(4096).open);
}

TEST_F(ClientPortTest, AFullPipelineDoesNotHideThatItsClientIsGone) {
  start();
  UniqueFd client = open_export();
  Bytes flushes;
  for (int i = 0; i < 300; ++i) {
    const Bytes flush = request(nbd::Command::flush, 0, 0);
    flushes.insert(flushes.end(), flush.begin(), flush.end());
  }
  send(client, flushes);
  ASSERT_TRUE(until([&] { return submitted.size() == 256; }));
  client = UniqueFd();
  EXPECT_TRUE(until([&] { return port->open_exports() == 0; }));
}

TEST_F(ClientPortTest, AHalfClosedClientIsNotOpenButStillAnswered) {
  start();
  const UniqueFd client = open_export();
  send(client, request(nbd::Command::flush, 0, 0));
  ::shutdown(client.get(), SHUT_WR);
  ASSERT_TRUE(until([&] { return submitted.size() == 1 && port->open_exports() == 0; }));
  EXPECT_EQ(port->connections(), 1u);
  answer_first();
  EXPECT_TRUE(receive(client, nbd::kSimpleReplyBytes));
  EXPECT_TRUE(until([&] { return closed(client); }));
}

TEST_F(ClientPortTest, WhatTheCoreHasNotSeenOfAClientThatIsGoneIsForgotten) {
  settings.core.max_client_ops = 1;
  start();
  for (int round = 0; round < 3; ++round) {
    const UniqueFd client = open_export();
    for (int i = 0; i < 20; ++i) send(client, request(nbd::Command::trim, 0, 48 << 20));  // two pieces each
    ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  }
  ASSERT_TRUE(until([&] { return port->connections() == 0; }));
  answer_first();
  EXPECT_TRUE(submitted.empty());
  const UniqueFd next = open_export();
  send(next, request(nbd::Command::flush, 0, 0));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  EXPECT_EQ(submitted[0].first.kind, OpKind::flush);
  answer_first();
  EXPECT_TRUE(receive(next, nbd::kSimpleReplyBytes));
}

TEST_F(ClientPortTest, IdleStrangersDoNotKeepClientsOut) {
  settings.max_clients = 4;
  settings.client_look = seconds(60);
  start();
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 20; ++i) strangers.push_back(connect());
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(open_export());
  EXPECT_EQ(port->open_exports(), 4u);
  const UniqueFd one_too_many = connect();
  EXPECT_TRUE(until([&] { return closed(one_too_many); }));
  EXPECT_EQ(port->open_exports(), 4u);
  send(clients[0], request(nbd::Command::flush, 0, 0));
  ::shutdown(clients[0].get(), SHUT_WR);
  ASSERT_TRUE(until([&] { return port->open_exports() == 3; }));
  const UniqueFd in_its_place = open_export();
  EXPECT_EQ(port->open_exports(), 4u);
}

TEST_F(ClientPortTest, TheSilentGiveWayBeforeThoseWhoSpeak) {
  settings.max_clients = 4;
  settings.client_look = seconds(60);
  start();
  const UniqueFd speaking = connect();
  EXPECT_TRUE(receive(speaking, nbd::kGreetingBytes));
  Bytes flags;
  append<uint32_t>(flags, nbd::kFlagFixedNewstyle);
  send(speaking, flags);
  loop->run_once(milliseconds(1));
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 100; ++i) strangers.push_back(connect());
  ASSERT_TRUE(until([&] { return closed(strangers[90]); }));
  EXPECT_FALSE(closed(speaking));
}

TEST_F(ClientPortTest, NegotiationIsBoundedInTime) {
  start();
  const UniqueFd silent = connect();
  EXPECT_TRUE(receive(silent, nbd::kGreetingBytes));
  EXPECT_TRUE(until([&] { return closed(silent); }));
  const UniqueFd trickling = connect();
  EXPECT_TRUE(receive(trickling, nbd::kGreetingBytes));
  Bytes flags;
  append<uint32_t>(flags, nbd::kFlagFixedNewstyle);
  send(trickling, flags);
  Bytes option;  // never complete
  append(option, nbd::kMagicOption);
  append(option, static_cast<uint32_t>(nbd::Option::go));
  append<uint32_t>(option, 30000);
  send(trickling, option);
  EXPECT_TRUE(until([&] {
    if (closed(trickling)) return true;
    send(trickling, Bytes(1));
    return false;
  }));
}

}  // namespace
}  // namespace lockstep
