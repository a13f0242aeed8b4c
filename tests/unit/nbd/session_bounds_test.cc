// What a session holds for a client stays bounded, whatever the client does; and room that comes back is
// used.
#include "harness.h"

namespace lockstep::nbd {
namespace {

Bytes flushes(uint64_t count) {
  Message stream;
  for (uint64_t i = 0; i < count; ++i) stream.raw(request(Command::flush, i, 0, 0));
  return stream;
}

TEST(SessionBounds, RequestsAtOnce) {
  Connection connection(SessionLimits{.max_requests = 4});
  connection.open();
  connection.send(flushes(10));
  EXPECT_EQ(connection.sink.requests.size(), 4u);
  EXPECT_TRUE(connection.session->recv_target().empty());
  EXPECT_FALSE(connection.session->waits_for_memory());
  connection.session->complete(connection.next().slot, 0);
  EXPECT_EQ(connection.sink.requests.size(), 3u) << "its reply has not been sent";
  connection.receive();
  EXPECT_EQ(connection.sink.requests.size(), 4u);
  size_t replies = 1;
  while (!connection.sink.requests.empty()) {
    connection.session->complete(connection.next().slot, 0);
    replies += connection.receive().size() / kSimpleReplyBytes;
  }
  EXPECT_EQ(replies, 10u);
  EXPECT_FALSE(connection.session->recv_target().empty());
}

// Replies that need no work are bounded too.
TEST(SessionBounds, RefusedRequestsWithoutReading) {
  Connection connection(SessionLimits{.max_requests = 8});
  connection.open(true, true);
  Message stream;
  for (uint64_t i = 0; i < 3000; ++i) {
    stream.raw(request(i % 3 == 0   ? Command::cache
                       : i % 3 == 1 ? Command::block_status
                                    : Command::read,
                       i, 0, i % 3 == 1 ? 512 : 0));
  }
  EXPECT_LE(connection.send(stream), 64u * 1024);
  iovec vectors[1000];
  EXPECT_LE(connection.session->gather(vectors), 8u);
  // As it is read, all that was taken is answered.
  const Bytes all = connection.receive();
  EXPECT_GT(all.size(), 16000u);
}

// The reader that does not read (nbd-server's deadlock): reads are admitted up to the bound, not beyond.
TEST(SessionBounds, BytesAtOnce) {
  Connection connection(SessionLimits{.max_requests = 256, .max_bytes = 1 << 20});
  connection.open();
  Message stream;
  for (uint64_t i = 0; i < 64; ++i) stream.raw(request(Command::read, i, 0, 128 << 10));
  connection.send(stream);
  EXPECT_EQ(connection.sink.requests.size(), 8u);
  const auto complete_all = [&] {
    while (!connection.sink.requests.empty()) {
      connection.session->complete(connection.next().slot, 0, connection.data(128 << 10, 1));
    }
  };
  complete_all();
  EXPECT_EQ(connection.pool.bytes_out(), size_t{1} << 20);
  size_t received = 0;
  while (connection.session->has_output()) {
    received += connection.receive().size();
    complete_all();
    EXPECT_LE(connection.pool.bytes_out(), size_t{1} << 20);
  }
  EXPECT_EQ(received, 64 * (kSimpleReplyBytes + (128 << 10)));
}

TEST(SessionBounds, OneLargeRequestAloneMayExceedTheBytes) {
  Connection connection(SessionLimits{.max_requests = 16, .max_bytes = 4096});
  connection.open();
  connection.send(Message().raw(request(Command::write, 1, 0, 8192)).fill(8192, 1).raw(request(Command::read, 2, 0, 512)));
  ASSERT_EQ(connection.sink.requests.size(), 1u);
  connection.session->complete(connection.next().slot, 0);
  connection.receive();
  EXPECT_EQ(connection.next().type, RequestType::read);
}

TEST(SessionBounds, WaitsForPoolMemory) {
  Connection connection({}, 8192);
  connection.open();
  BufferRef other = connection.pool.allocate(8192);
  connection.send(Message().raw(request(Command::write, 1, 0, 4096)).fill(4096, 1));
  EXPECT_TRUE(connection.session->waits_for_memory());
  EXPECT_TRUE(connection.session->recv_target().empty());
  connection.session->resume();
  EXPECT_TRUE(connection.session->waits_for_memory());
  other = {};
  connection.session->resume();
  EXPECT_FALSE(connection.session->waits_for_memory());
  EXPECT_EQ(connection.next().payload->size(), 4096u);
}

TEST(SessionBounds, MoreThanThePoolHasIsNeverWaitedFor) {
  Connection connection({}, 8192);
  connection.open();
  connection.send(request(Command::write, 1, 0, 16384));
  EXPECT_TRUE(connection.session->finished());
}

TEST(SessionBounds, ShutdownWhileWaiting) {
  for (bool memory : {false, true}) {
    Connection connection(SessionLimits{.max_requests = memory ? 9u : 1u}, 4096);
    connection.open();
    connection.send(
        Message().raw(request(Command::write, 1, 0, 4096)).fill(4096, 1).raw(request(Command::write, 2, 0, 4096)).fill(10, 1));
    EXPECT_EQ(connection.session->waits_for_memory(), memory);
    connection.session->shutdown();
    EXPECT_FALSE(connection.session->waits_for_memory());
    EXPECT_EQ(connection.receive().size(), kSimpleReplyBytes);
    EXPECT_TRUE(connection.session->finished());
  }
}

// Replies taken a byte at a time, with requests coming in between: nothing lost, nothing twice.
TEST(SessionBounds, SlowReader) {
  Connection connection(SessionLimits{.max_requests = 3});
  connection.sink.on_submit = [&](Request& each) { connection.session->complete(each.slot, 0); };
  connection.open();
  const Bytes stream = flushes(50);
  size_t sent = 0;
  Bytes received;
  while (received.size() < 50 * kSimpleReplyBytes) {
    sent += connection.send(Bytes(stream.begin() + static_cast<ptrdiff_t>(sent), stream.end()), 11);
    iovec vector;
    ASSERT_EQ(connection.session->gather({&vector, 1}), 1u);
    received.push_back(*static_cast<const std::byte*>(vector.iov_base));
    connection.session->consume(1);
  }
  Reader in(received);
  for (uint64_t i = 0; i < 50; ++i) EXPECT_EQ(read_answer(in).cookie, i);
}

// After a large WRITE little is read ahead, so that the next one is hardly copied; small requests bring it
// back.
TEST(SessionBounds, ReadAheadFollowsTheRequests) {
  Connection connection;
  connection.open();
  EXPECT_GT(connection.session->recv_target().size(), 60000u);
  connection.send(Message().raw(request(Command::write, 1, 0, 65536)).fill(65536, 1));
  EXPECT_LT(connection.session->recv_target().size(), 1000u);
  connection.send(request(Command::flush, 2, 0, 0));
  EXPECT_GT(connection.session->recv_target().size(), 60000u);
}

TEST(SessionBoundsDeathTest, CompletingTwiceIsABug) {
  Connection connection;
  connection.open();
  connection.send(request(Command::flush, 1, 0, 0));
  const SlotId slot = connection.next().slot;
  connection.session->complete(slot, 0);
  EXPECT_DEATH(connection.session->complete(slot, 0), "broken invariant");
}

}  // namespace
}  // namespace lockstep::nbd
