// The NBD port of a resource against clients that hang up, trickle, do not read, or come in crowds.
#include <algorithm>
#include <random>
#include <set>

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

TEST_F(ClientPortTest, NobodyStaysWhenItIsShutDown) {
  settings.pool_bytes = size_t{8} << 20;
  start();
  BufferPool pool(size_t{8} << 20);
  const UniqueFd silent = connect();
  const UniqueFd negotiating = connect();
  EXPECT_TRUE(receive(negotiating, nbd::kGreetingBytes));
  send(negotiating, Bytes(2));
  const UniqueFd idle = open_export();
  const UniqueFd in_header = open_export();
  send(in_header, Bytes(10));
  const UniqueFd in_payload = open_export();
  send(in_payload, request(nbd::Command::write, 0, 4096, 1000));
  const UniqueFd deaf = open_export();
  send(deaf, request(nbd::Command::read, 0, 4 << 20));
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  answer_first(pool.allocate(4 << 20));
  const UniqueFd waiting = open_export();
  send(waiting, request(nbd::Command::flush, 0, 0));
  const UniqueFd half_closed = open_export();
  send(half_closed, request(nbd::Command::flush, 0, 0));
  ::shutdown(half_closed.get(), SHUT_WR);
  ASSERT_TRUE(until([&] { return submitted.size() == 2; }));
  port->shut_down_clients();
  EXPECT_EQ(reply(waiting), nbd::WireError::eshutdown);
  EXPECT_EQ(reply(half_closed), nbd::WireError::eshutdown);
  EXPECT_TRUE(until([&] { return port->connections() == 0; })) << "the deaf one too, some day";
  EXPECT_EQ(pool.bytes_out(), 0u);
  while (!submitted.empty()) answer_first();  // late, and to nobody
}

// Several clients that ask and hang up at random, with an owner that answers in any order: each answer once, and to who asked.
TEST_F(ClientPortTest, EachAnswerGoesToWhoAsked) {
  start();
  BufferPool pool(size_t{64} << 20);
  struct Client {
    UniqueFd fd;
    Bytes in;
    std::set<uint64_t> waits;  // cookies
  };
  std::vector<Client> clients;
  std::mt19937 dice(1);
  uint64_t cookie = 0;
  const auto place_of = [](uint64_t whose) { return whose % 1024 * 512; };
  const auto answer_any = [&] {
    if (submitted.empty()) return;
    std::swap(submitted.front(), submitted[dice() % submitted.size()]);
    BufferRef data = pool.allocate(512);
    put_be(data->data(), submitted.front().first.range.offset);
    answer_first(std::move(data));
  };
  const auto listen = [&](Client& client) {
    constexpr size_t kReply = nbd::kSimpleReplyBytes + 512;
    Bytes more(4096);
    const ssize_t n = ::recv(client.fd.get(), more.data(), more.size(), 0);
    if (n > 0) client.in.insert(client.in.end(), more.begin(), more.begin() + n);
    while (client.in.size() >= kReply) {
      const auto whose = get_be<uint64_t>(client.in.data() + 8);
      EXPECT_EQ(get_be<uint32_t>(client.in.data() + 4), 0u);
      EXPECT_EQ(client.waits.erase(whose), 1u) << "not asked for here, or twice";
      EXPECT_EQ(get_be<uint64_t>(client.in.data() + nbd::kSimpleReplyBytes), place_of(whose));
      client.in.erase(client.in.begin(), client.in.begin() + kReply);
    }
  };
  for (int step = 0; step < 1500 && !HasFailure(); ++step) {
    while (clients.size() < 5) clients.push_back({open_export(), {}, {}});
    const size_t which = dice() % clients.size();
    const auto what = dice() % 40;
    if (what == 0) {
      clients.erase(clients.begin() + static_cast<ptrdiff_t>(which));
    } else if (what < 20) {
      Bytes ask = request(nbd::Command::read, place_of(++cookie), 512);
      put_be(ask.data() + 8, cookie);
      clients[which].waits.insert(cookie);
      send(clients[which].fd, ask);
    } else {
      answer_any();
    }
    loop->run_once(milliseconds(1));
    for (Client& each : clients) listen(each);
  }
  EXPECT_TRUE(until([&] {
    answer_any();
    for (Client& each : clients) listen(each);
    return std::all_of(clients.begin(), clients.end(), [](const Client& each) { return each.waits.empty(); });
  }));
  while (!submitted.empty()) answer_any();  // of those who are gone
  looks(2);
  for (Client& each : clients) listen(each);
  EXPECT_EQ(pool.bytes_out(), 0u);
}

// A session must not take the memory that its own request gave back before those who wait are asked.
TEST_F(ClientPortTest, AFastHogDoesNotKeepOthersFromMemory) {
  start();
  const UniqueFd hog = open_export();
  const Bytes large = request(nbd::Command::write, 0, 64 * 1024, 64 * 1024);  // all of the pool
  send(hog, large);
  ASSERT_TRUE(until([&] { return submitted.size() == 1; }));
  send(hog, large);
  const UniqueFd other = open_export();
  send(other, request(nbd::Command::write, 1 << 20, 4096, 4096));
  looks(2);
  int turns = 0;
  for (; turns < 20; ++turns) {
    ASSERT_TRUE(until([&] { return !submitted.empty(); }));
    if (submitted.front().first.range.length == 4096) break;
    answer_first();
    looks(1);
    send(hog, large);  // always one more behind
  }
  EXPECT_LT(turns, 20) << "who waits gets memory in the end";
}

}  // namespace
}  // namespace lockstep
