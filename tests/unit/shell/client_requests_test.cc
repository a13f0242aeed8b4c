// Requests of NBD clients on their way to the core: long ones in pieces, and old ones that must not come late.
#include "client_port_harness.h"
#include "shell/resource/client_backlog.h"

namespace lockstep {
namespace {

using LongRequests = ClientPortTest;

TEST_F(LongRequests, ALongRequestIsCutAsItIsTaken) {
  settings.core.max_op_bytes = 64 * 1024;
  start();
  const UniqueFd client = open_export();
  send(client, request(nbd::Command::trim, 512, (16 << 20) + 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 4; }));
  uint64_t next = 512;
  for (int piece = 0; piece < 257; ++piece) {
    ASSERT_LE(submitted.size(), 4u);
    ASSERT_FALSE(submitted.empty());
    const ClientRequest& asked = submitted.front().first;
    EXPECT_EQ(asked.kind, OpKind::trim);
    EXPECT_EQ(asked.range.offset, next);
    EXPECT_EQ(asked.range.length, piece < 256 ? 64u * 1024 : 512u);
    next = asked.range.end();
    answer_first();
  }
  EXPECT_TRUE(submitted.empty());
  EXPECT_TRUE(receive(client, nbd::kSimpleReplyBytes));
  looks(2);
  std::byte more;
  EXPECT_LT(::recv(client.get(), &more, 1, 0), 0) << "one answer";
}

TEST_F(LongRequests, OthersComeBetweenThePiecesOfALongRequest) {
  settings.core.max_op_bytes = 64 * 1024;
  settings.core.max_client_ops = 2;
  start();
  const UniqueFd slow = open_export();
  const UniqueFd quick = open_export();
  send(slow, request(nbd::Command::write_zeroes, 0, 16 << 20));
  ASSERT_TRUE(until([&] { return submitted.size() == 2; }));
  send(quick, request(nbd::Command::flush, 0, 0));
  looks(2);
  EXPECT_EQ(submitted.size(), 2u) << "the core takes no more";
  answer_first();
  answer_first();
  ASSERT_EQ(submitted.size(), 2u);
  EXPECT_EQ(std::count_if(submitted.begin(), submitted.end(), [](const auto& at) { return at.first.kind == OpKind::flush; }), 1);
}

TEST_F(LongRequests, APieceThatFailsIsTheLastOne) {
  settings.core.max_op_bytes = 64 * 1024;
  start();
  const UniqueFd client = open_export();
  send(client, request(nbd::Command::write_zeroes, 0, 16 << 20));
  ASSERT_TRUE(until([&] { return submitted.size() == 4; }));
  port->replied(submitted[1].first.io, IoStatus::no_space, {});
  submitted.erase(submitted.begin() + 1);
  while (!submitted.empty()) {
    EXPECT_LE(submitted.size(), 3u) << "none follows";
    answer_first();
  }
  EXPECT_EQ(reply(client), nbd::WireError::enospc);
}

TEST_F(LongRequests, WhoIsGoneHasNoFurtherPieces) {
  settings.core.max_op_bytes = 64 * 1024;
  start();
  {
    const UniqueFd client = open_export();
    send(client, request(nbd::Command::trim, 0, 16 << 20));
    ASSERT_TRUE(until([&] { return submitted.size() == 4; }));
  }
  ASSERT_TRUE(until([&] { return port->connections() == 0; }));
  for (int i = 0; i < 4; ++i) answer_first();
  EXPECT_TRUE(submitted.empty());
}

// A server that goes on with what a dead connection had sent writes old data over new: the kernel's client has sent the same again elsewhere,
// and gone on (../docs/nbd.md, "Old writes").
TEST_F(LongRequests, WhoHasHungUpHasNoFurtherPieces) {
  settings.core.max_op_bytes = 64 * 1024;
  start();
  const UniqueFd client = open_export();
  send(client, request(nbd::Command::write_zeroes, 0, 16 << 20));
  ASSERT_TRUE(until([&] { return submitted.size() == 4; }));
  ::shutdown(client.get(), SHUT_RDWR);
  for (int i = 0; i < 4; ++i) answer_first();
  EXPECT_TRUE(submitted.empty());
}

TEST_F(LongRequests, WhoOnlyEndsItsOwnSideIsServedToTheEnd) {
  settings.core.max_op_bytes = 64 * 1024;
  start();
  for (bool goodbye : {true, false}) {
    const UniqueFd client = open_export();
    send(client, request(nbd::Command::write_zeroes, 0, 1 << 20));
    if (goodbye) send(client, request(nbd::Command::disc, 0, 0));
    ASSERT_TRUE(until([&] { return submitted.size() == 4; }));
    ::shutdown(client.get(), SHUT_WR);
    looks(2);
    for (int i = 0; i < 16; ++i) answer_first();
    EXPECT_TRUE(submitted.empty());
    EXPECT_EQ(reply(client), nbd::WireError::none);
  }
}

// It may have been given up, and the same done again by the sibling.
TEST_F(LongRequests, WhoseOwnSideIsEndedGoesOnWhereNoSiblingWrites) {
  settings.core.max_op_bytes = 64 * 1024;
  start();
  const UniqueFd sibling = open_export();
  const UniqueFd client = open_export();
  send(client, request(nbd::Command::write_zeroes, 0, 16 << 20));
  ASSERT_TRUE(until([&] { return submitted.size() == 4; }));
  ::shutdown(client.get(), SHUT_WR);
  send(sibling, request(nbd::Command::write, 20 << 20, 512, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 5; }));
  answer_first();
  EXPECT_EQ(submitted.size(), 5u) << "elsewhere";
  send(sibling, request(nbd::Command::write, 15 << 20, 512, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 6; }));
  while (!submitted.empty()) answer_first();
  EXPECT_EQ(reply(client), nbd::WireError::eshutdown);
}

TEST_F(LongRequests, EndWhereAYoungerConnectionWrites) {
  settings.core.max_op_bytes = 64 * 1024;
  start();
  const UniqueFd sibling = open_export();
  const UniqueFd old = open_export();
  send(old, request(nbd::Command::trim, 0, 16 << 20));
  ASSERT_TRUE(until([&] { return submitted.size() == 4; }));
  send(sibling, request(nbd::Command::write, 0, 512, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 5; }));
  answer_first();
  ASSERT_EQ(submitted.size(), 5u) << "a sibling that was there before is no successor";
  const UniqueFd young = open_export();
  send(young, request(nbd::Command::write, 8 << 20, 512, 512));
  ASSERT_TRUE(until([&] { return submitted.size() == 6; }));
  while (!submitted.empty()) answer_first();
  EXPECT_EQ(reply(old), nbd::WireError::eshutdown);
  EXPECT_EQ(reply(young), nbd::WireError::none);
}

// More than a session takes at once, and a write at the end that lies in the socket.
class Backlog : public ClientPortTest {
 protected:
  static constexpr size_t kFlushes = 300;
  UniqueFd with_backlog() {
    UniqueFd client = open_export();
    Bytes all;
    const auto add = [&all](const Bytes& next) { all.insert(all.end(), next.begin(), next.end()); };
    for (size_t i = 0; i < kFlushes; ++i) add(request(nbd::Command::flush, 0, 0));
    add(request(nbd::Command::write, 0, 512, 512));
    send(client, all);
    EXPECT_TRUE(until([&] { return submitted.size() == settings.core.max_client_ops; }));
    looks(5);
    return client;
  }
  void SetUp() override {
    ClientPortTest::SetUp();
    settings.core.max_client_ops = 200;
    settings.client_look = milliseconds(2);
  }
  // Answers what is there, until nothing more comes. How many writes there were.
  size_t answer_all() {
    size_t writes = 0;
    for (int quiet = 0; quiet < 20;) {
      quiet = submitted.empty() ? quiet + 1 : 0;
      while (!submitted.empty()) {
        if (submitted.front().first.kind == OpKind::write) ++writes;
        answer_first();
      }
      loop->run_once(milliseconds(1));
    }
    return writes;
  }
  // To all of with_backlog(): how many were refused as late.
  size_t refused(const UniqueFd& client) {
    size_t count = 0;
    for (size_t i = 0; i <= kFlushes && !HasFailure(); ++i) count += reply(client) == nbd::WireError::eshutdown ? 1 : 0;
    return count;
  }
};

TEST_F(Backlog, IsWorkedOff) {
  start();
  const UniqueFd client = with_backlog();
  EXPECT_EQ(answer_all(), 1u);
  EXPECT_EQ(refused(client), 0u);
}

TEST_F(Backlog, AChangeOfAClientThatHungUpIsNotMade) {
  start();
  const UniqueFd client = with_backlog();
  ::shutdown(client.get(), SHUT_RDWR);
  EXPECT_EQ(answer_all(), 0u);
}

TEST_F(Backlog, WhoOnlyEndsItsOwnSideIsServed) {
  start();
  const UniqueFd client = with_backlog();
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(answer_all(), 1u);
  EXPECT_EQ(refused(client), 0u);
}

TEST_F(Backlog, UnlessASiblingWroteTheSame) {
  start();
  const UniqueFd sibling = open_export();
  const UniqueFd client = with_backlog();
  send(sibling, request(nbd::Command::write, 0, 512, 512));
  looks(2);
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(answer_all(), 1u) << "the sibling's";
  EXPECT_EQ(refused(client), 1u) << "flushes are harmless";
}

TEST_F(Backlog, AChangeIsNotMadeOnceAYoungerConnectionHasWrittenThere) {
  start();
  const UniqueFd old = with_backlog();
  const UniqueFd young = open_export();
  send(young, request(nbd::Command::write, 0, 512, 512));
  looks(2);
  EXPECT_EQ(answer_all(), 1u) << "the younger one's";
  EXPECT_EQ(refused(old), 1u);
  EXPECT_EQ(reply(young), nbd::WireError::none);
}

TEST_F(Backlog, AYoungerConnectionThatWritesElsewhereDoesNoHarm) {
  start();
  const UniqueFd old = with_backlog();
  const UniqueFd young = open_export();
  send(young, request(nbd::Command::write, 4096, 512, 512));
  looks(2);
  EXPECT_EQ(answer_all(), 2u);
  EXPECT_EQ(refused(old), 0u);
}

TEST_F(Backlog, IsForgottenWhenItIsGone) {
  start();
  const UniqueFd old = with_backlog();
  EXPECT_EQ(answer_all(), 1u);
  EXPECT_EQ(refused(old), 0u);
  const UniqueFd young = open_export();
  send(young, request(nbd::Command::write, 0, 512, 512));
  looks(2);
  EXPECT_EQ(answer_all(), 1u);
  send(old, request(nbd::Command::write, 0, 512, 512));
  looks(2);
  EXPECT_EQ(answer_all(), 1u);
  EXPECT_EQ(reply(old), nbd::WireError::none) << "this one is new";
}

// The header came before what the younger connection did, the data after it.
TEST_F(Backlog, AChangeThatHasBegunToArriveCounts) {
  start();
  const UniqueFd old = open_export();
  send(old, request(nbd::Command::write, 0, 4096, 1000));
  looks(5);
  const UniqueFd young = open_export();
  send(young, request(nbd::Command::write, 512, 512, 512));
  looks(2);
  EXPECT_EQ(answer_all(), 1u);
  send(old, Bytes(4096 - 1000));
  looks(2);
  EXPECT_EQ(answer_all(), 0u);
  EXPECT_EQ(reply(old), nbd::WireError::eshutdown);
}

TEST_F(Backlog, ConnectionsThatWereThereBeforeOrOnlyReadDoNoHarm) {
  start();
  const UniqueFd sibling = open_export();
  const UniqueFd old = with_backlog();
  const UniqueFd reader = open_export();
  send(sibling, request(nbd::Command::write, 0, 512, 512));
  send(reader, request(nbd::Command::flush, 0, 0));
  looks(2);
  EXPECT_EQ(answer_all(), 2u);
  EXPECT_EQ(refused(old), 0u);
}

// Several of a cluster write, and each knows what it does.
TEST_F(Backlog, AnotherClientsChangesSayNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be several users";
  settings.shared_writers = true;
  start();
  const UniqueFd old = with_backlog();
  const UniqueFd other = open_export(4711);
  send(other, request(nbd::Command::write, 0, 512, 512));
  looks(2);
  EXPECT_EQ(answer_all(), 2u);
  EXPECT_EQ(refused(old), 0u);
}

TEST(ClientBacklog, KnowsSinceWhenWhatItSeesMayHaveWaited) {
  ClientBacklog backlog;
  backlog.looked(10, 11, 100, 0);
  EXPECT_FALSE(backlog.any());
  backlog.looked(20, 25, 100, 50);
  EXPECT_EQ(backlog.since(), 20u);
  backlog.looked(30, 35, 149, 500);
  EXPECT_EQ(backlog.since(), 20u) << "the last of what lay there at 20 is not yet seen";
  backlog.looked(40, 45, 150, 500);
  EXPECT_EQ(backlog.since(), 25u) << "what is seen now came after 25";
  backlog.looked(50, 55, 649, 1);
  EXPECT_EQ(backlog.since(), 25u);
  backlog.looked(60, 65, 650, 1);
  EXPECT_EQ(backlog.since(), 45u);
  backlog.looked(70, 75, 651, 0);
  EXPECT_FALSE(backlog.any());
}

TEST(ClientHistory, KnowsWhatYoungerConnectionsChanged) {
  ClientHistory history;
  history.changed(10, 5, {0, 4096});
  EXPECT_FALSE(history.overtaken(5, {0, 512})) << "older than that";
  EXPECT_TRUE(history.overtaken(4, {0, 512}));
  EXPECT_FALSE(history.overtaken(4, {4096, 512}));
  EXPECT_TRUE(history.changed_elsewhere(4, 9, {0, 512}));
  EXPECT_FALSE(history.changed_elsewhere(5, 9, {0, 512})) << "its own";
  EXPECT_FALSE(history.changed_elsewhere(4, 10, {0, 512})) << "before";
}

TEST(ClientHistory, WhatCannotBeKnownAnyMoreCountsAsChanged) {
  ClientHistory history;
  for (size_t i = 0; i < ClientHistory::kKept; ++i) history.changed(100 + i, 50, {uint64_t{1} << 40, 512});
  EXPECT_TRUE(history.overtaken(49, {0, 512})) << "full: something may have been before";
  EXPECT_FALSE(history.overtaken(50, {0, 512})) << "no connection is younger";
  EXPECT_FALSE(history.changed_elsewhere(7, 100, {0, 512}));
  EXPECT_TRUE(history.changed_elsewhere(7, 99, {0, 512}));
}

}  // namespace
}  // namespace lockstep
