// A session in its transmission phase: requests in, replies out.
#include "harness.h"

namespace lockstep::nbd {
namespace {

TEST(Session, ReadIsAnsweredFromTheOwnersBuffer) {
  for (bool structured : {false, true}) {
    Connection connection;
    connection.open(structured);
    connection.send(request(Command::read, 0xabcdef0123456789, 4096, 1024));
    const Request read = connection.next();
    EXPECT_EQ(read.type, RequestType::read);
    EXPECT_EQ(read.offset, 4096u);
    EXPECT_EQ(read.length, 1024u);
    EXPECT_FALSE(read.payload);
    BufferRef data = connection.data(2048, 0x5a);
    connection.session->complete(read.slot, 0, data);
    iovec vectors[4];
    ASSERT_EQ(connection.session->gather(vectors), 2u);
    EXPECT_EQ(vectors[1].iov_base, data->data()) << "not copied";
    Reader in(connection.receive(7));
    const Answer answer = read_answer(in, {{0xabcdef0123456789, 1024}});
    EXPECT_EQ(answer.cookie, 0xabcdef0123456789);
    EXPECT_EQ(answer.data, Bytes(1024, std::byte{0x5a}));
    EXPECT_EQ(answer.chunk.has_value(), structured);
    EXPECT_EQ(answer.offset, structured ? 4096u : 0u);
    EXPECT_EQ(in.remaining(), 0u);
  }
}

TEST(Session, WriteIsReceivedIntoItsBuffer) {
  Connection connection;
  connection.open();
  connection.send(request(Command::write, 5, 512, 8192, kCmdFua));
  const std::span<std::byte> target = connection.session->recv_target();
  EXPECT_EQ(target.size(), 8192u) << "exactly the payload";
  connection.send(Message().fill(8192, 0x77));
  const Request write = connection.next();
  EXPECT_EQ(write.payload->data(), target.data()) << "not copied";
  EXPECT_EQ(reinterpret_cast<uintptr_t>(write.payload->data()) % 4096, 0u);
  EXPECT_EQ(write.type, RequestType::write);
  EXPECT_TRUE(write.fua);
  EXPECT_EQ(write.offset, 512u);
  EXPECT_EQ(write.payload->size(), 8192u);
  EXPECT_EQ(write.payload->data()[8191], std::byte{0x77});
  connection.session->complete(write.slot, 0);
  Reader in(connection.receive());
  EXPECT_EQ(read_answer(in).error, WireError::none);
}

TEST(Session, OtherCommandsKeepTheirFlags) {
  Connection connection;
  connection.open();
  connection.send(request(Command::write_zeroes, 1, 0, 0x1000, kCmdNoHole | kCmdFua));
  connection.send(request(Command::write_zeroes, 2, 0, 0x1000));
  connection.send(request(Command::trim, 3, 0x1000, 0xff000));
  connection.send(request(Command::flush, 4, 17, 19));
  Request zeroes = connection.next();
  EXPECT_TRUE(zeroes.no_hole && zeroes.fua);
  zeroes = connection.next();
  EXPECT_FALSE(zeroes.no_hole || zeroes.fua);
  EXPECT_EQ(connection.next().length, 0xff000u);
  const Request flush = connection.next();
  EXPECT_EQ(flush.type, RequestType::flush);
  EXPECT_EQ(flush.offset + flush.length, 0u);
}

// Many requests in one piece, cut at every place.
TEST(Session, PipelinedRequestsInAnyPieces) {
  Bytes stream;
  for (unsigned char i = 0; i < 20; ++i) {
    stream = Message()
                 .raw(stream)
                 .raw(request(Command::write, i, i * 512u, 512))
                 .fill(512, i)
                 .raw(request(Command::read, 100u + i, 0, 512))
                 .raw(request(Command::write, 200u + i, uint64_t{1} << 40, 64))
                 .fill(64, 0xee);
  }
  for (size_t piece : std::initializer_list<size_t>{1, 3, 27, 28, 29, 511, 540, 541, 1000, 4096, SIZE_MAX}) {
    Connection connection;
    connection.open();
    EXPECT_EQ(connection.send(stream, piece), stream.size());
    ASSERT_EQ(connection.sink.requests.size(), 40u) << piece;
    for (unsigned char i = 0; i < 20; ++i) {
      const Request write = connection.next();
      EXPECT_EQ(write.offset, i * 512u);
      EXPECT_EQ(Bytes(write.payload->data(), write.payload->data() + 512), Bytes(512, std::byte{i}));
      EXPECT_EQ(connection.next().type, RequestType::read);
    }
    Reader in(connection.receive());
    for (unsigned i = 0; i < 20; ++i) {
      const Answer answer = read_answer(in);
      EXPECT_EQ(answer.cookie, 200u + i);
      EXPECT_EQ(answer.error, WireError::enospc);
    }
  }
}

TEST(Session, CompletionsInAnyOrderKeepTheirCookies) {
  Connection connection;
  connection.open();
  std::map<uint64_t, uint32_t> lengths;
  for (uint32_t i = 1; i <= 100; ++i) {
    lengths[i] = 512 * (1 + i % 3);
    connection.send(request(Command::read, i, 0, lengths[i]));
  }
  std::vector<Request> requests;
  while (!connection.sink.requests.empty()) requests.push_back(connection.next());
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& each = requests[(i * 37) % 100];
    connection.session->complete(each.slot, 0, connection.data(each.length, 1));
  }
  Reader in(connection.receive(1000));
  std::vector<uint64_t> seen;
  while (in.remaining() > 0) {
    const Answer answer = read_answer(in, lengths);
    EXPECT_EQ(answer.data.size(), lengths[answer.cookie]);
    seen.push_back(answer.cookie);
  }
  ASSERT_EQ(seen.size(), 100u);
  EXPECT_EQ(seen[1], 38u);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end()) << "each once";
}

TEST(Session, TheSinkMayCompleteAtOnce) {
  Connection connection;
  connection.sink.on_submit = [&](Request& each) {
    connection.session->complete(each.slot, 0, each.type == RequestType::read ? connection.data(each.length, 2) : BufferRef());
  };
  connection.open();
  Bytes stream;
  for (uint64_t i = 0; i < 500; ++i) stream = Message().raw(stream).raw(request(Command::flush, i, 0, 0));
  size_t sent = 0;
  size_t replies = 0;
  while (sent < stream.size()) {
    sent += connection.send(Bytes(stream.begin() + static_cast<ptrdiff_t>(sent), stream.end()));
    replies += connection.receive().size() / kSimpleReplyBytes;
  }
  EXPECT_EQ(replies, 500u);
  EXPECT_EQ(connection.session->outstanding(), 0u);
}

TEST(Session, EarlyErrorsOfReadsAreChunksWhenStructured) {
  Connection connection;
  connection.open(true);
  for (const Bytes& bad :
       {request(Command::read, 3, 1 << 20, 512), request(Command::read, 3, 1, 512), request(Command::read, 3, 0, 0xffffffff),
        request(Command::read, 3, 0, 512, 0x8000), request(Command::block_status, 3, 0, 512)}) {
    const Answer answer = connection.refused(bad);
    EXPECT_EQ(answer.chunk, Chunk::error);
    EXPECT_EQ(answer.error, WireError::einval);
    EXPECT_EQ(answer.cookie, 3u);
  }
  const Answer nothing = connection.refused(request(Command::read, 4, 0, 0));
  EXPECT_EQ(nothing.chunk, Chunk::none);
  EXPECT_FALSE(connection.refused(request(Command::trim, 5, 1, 1)).chunk);

  connection.send(request(Command::read, 6, 0, 512));
  connection.session->complete(connection.next().slot, EIO);
  Reader in(connection.receive());
  const Answer failed = read_answer(in);
  EXPECT_EQ(failed.chunk, Chunk::error);
  EXPECT_EQ(failed.error, WireError::eio);
}

TEST(Session, SimpleErrorsWithoutStructuredReplies) {
  Connection connection;
  connection.open();
  EXPECT_EQ(connection.refused(request(Command::read, 3, 1 << 20, 512)).error, WireError::einval);
  EXPECT_EQ(connection.refused(request(Command::read, 3, 0, 0)).error, WireError::none);
  EXPECT_EQ(connection.refused(request(Command::cache, 3, 1 << 20, 512)).error, WireError::einval);
  EXPECT_EQ(connection.refused(request(static_cast<Command>(99), 3, 0, 512)).error, WireError::einval);
  EXPECT_EQ(connection.refused(request(Command::block_status, 3, 0, 512)).error, WireError::einval);
}

// A refused WRITE's payload is skipped, and the next request is found.
TEST(Session, PayloadOfARefusedWriteIsSkipped) {
  Connection connection;
  connection.open();
  const uint32_t length = 3u << 20;
  EXPECT_EQ(connection.send(Message().raw(request(Command::write, 1, uint64_t{1} << 40, length)).fill(length - 1, 0xff)),
            kRequestBytes + length - 1);
  EXPECT_FALSE(connection.session->has_output());
  EXPECT_EQ(connection.pool.bytes_out(), 0u);
  connection.send(Message().fill(1, 0xff).raw(request(Command::flush, 2, 0, 0)));
  EXPECT_EQ(connection.next().type, RequestType::flush);
  Reader in(connection.receive());
  EXPECT_EQ(read_answer(in).error, WireError::enospc);
}

TEST(Session, OversizeWritesCloseWithoutAllocating) {
  for (uint32_t length : {kAcceptedPayload + 1, 0x80000000u, 0xffffffffu}) {
    Connection connection;
    connection.open();
    connection.send(request(Command::write, 1, 0, length));
    EXPECT_EQ(connection.pool.bytes_out(), 0u);
    EXPECT_TRUE(connection.session->finished());
  }
}

TEST(Session, BadMagicClosesAfterWhatWasAskedBefore) {
  Connection connection;
  connection.open();
  connection.send(request(Command::flush, 1, 0, 0));
  connection.send(Message().raw(client_flags()).fill(100, 0xaa));
  EXPECT_FALSE(connection.session->finished());
  EXPECT_TRUE(connection.session->recv_target().empty());
  connection.session->complete(connection.next().slot, 0);
  EXPECT_EQ(connection.receive().size(), kSimpleReplyBytes);
  EXPECT_TRUE(connection.session->finished());
}

TEST(Session, BlockStatusOfAPlainExportIsAllAllocated) {
  Connection connection;
  connection.directory.exports["disk"].size = uint64_t{8} << 30;
  connection.open(true, true);
  // CVE-2025-47711: the largest request there is.
  for (uint32_t length : {512u, 0x80000000u, 0xfffffe00u}) {
    const Answer answer = connection.refused(request(Command::block_status, 8, 512, length));
    EXPECT_EQ(answer.chunk, Chunk::block_status);
    Reader payload(answer.data);
    EXPECT_EQ(payload.be<uint32_t>(), kBaseAllocationId);
    EXPECT_EQ(payload.be<uint32_t>(), length);
    EXPECT_EQ(payload.be<uint32_t>(), 0u);
    EXPECT_EQ(payload.remaining(), 0u);
  }
  // CVE-2025-47712: not aligned, near 2^32.
  EXPECT_EQ(connection.refused(request(Command::block_status, 8, 512, 0xffffffff)).error, WireError::einval);
}

TEST(Session, BlockStatusFromTheOwner) {
  Connection connection;
  connection.directory.exports["disk"].reports_extents = true;
  connection.open(true, true);
  connection.send(request(Command::block_status, 1, 0, 4096, kCmdReqOne));
  connection.send(request(Command::block_status, 2, 0, 4096));
  connection.send(request(Command::block_status, 3, 0, 4096));
  const Request one = connection.next();
  EXPECT_TRUE(one.one_extent);
  EXPECT_EQ(one.contexts, ContextSet::of(kBaseAllocationId));
  const std::vector<ContextStatus> known = {{kBaseAllocationId, {{1024, 3}, {8192, 0}}}};
  connection.session->complete_status(one.slot, known);
  connection.session->complete_status(connection.next().slot, known);
  connection.session->complete_status(connection.next().slot, {{kBaseAllocationId, {}}});
  Reader in(connection.receive());
  EXPECT_EQ(read_answer(in).data.size(), 4u + 8u);
  EXPECT_EQ(read_answer(in).data.size(), 4u + 16u);
  EXPECT_EQ(read_answer(in).error, WireError::eio);
}

TEST(Session, DisconnectAnswersWhatIsInFlightThenCloses) {
  Connection connection;
  connection.open();
  for (uint64_t i = 0; i < 16; ++i) connection.send(request(Command::flush, i, 0, 0));
  connection.send(Message().raw(request(Command::disc, 99, 0, 0)).raw(request(Command::flush, 100, 0, 0)));
  EXPECT_TRUE(connection.session->recv_target().empty());
  EXPECT_EQ(connection.sink.requests.size(), 16u) << "nothing after DISC";
  for (int i = 0; i < 16; ++i) {
    EXPECT_FALSE(connection.session->finished());
    connection.session->complete(connection.next().slot, 0);
  }
  EXPECT_FALSE(connection.session->finished());
  EXPECT_EQ(connection.receive().size(), 16 * kSimpleReplyBytes);
  EXPECT_TRUE(connection.session->finished());
}

TEST(Session, HalfClosedClientIsStillAnswered) {
  Connection connection;
  connection.open();
  connection.send(request(Command::read, 1, 0, 512));
  connection.send(Message().raw(request(Command::write, 2, 0, 4096)).fill(4000, 1));  // never completed
  connection.session->peer_closed();
  EXPECT_FALSE(connection.session->finished());
  const Request read = connection.next();
  EXPECT_TRUE(connection.sink.requests.empty());
  connection.session->complete(read.slot, 0, connection.data(512, 1));
  EXPECT_EQ(connection.receive().size(), kSimpleReplyBytes + 512);
  EXPECT_TRUE(connection.session->finished());
}

// End of file arrives while whole requests wait for room: they are executed all the same.
TEST(Session, HalfCloseBehindBackpressure) {
  Connection connection(SessionLimits{.max_requests = 1});
  connection.open();
  connection.send(Message().raw(request(Command::flush, 1, 0, 0)).raw(request(Command::flush, 2, 0, 0)));
  connection.session->peer_closed();
  for (uint64_t cookie : {1u, 2u}) {
    EXPECT_FALSE(connection.session->finished());
    connection.session->complete(connection.next().slot, 0);
    Reader in(connection.receive());
    EXPECT_EQ(read_answer(in).cookie, cookie);
  }
  EXPECT_TRUE(connection.session->finished());
}

TEST(Session, ShutdownFailsTheUnansweredOnce) {
  Connection connection;
  connection.open(true);
  connection.send(request(Command::read, 1, 0, 512));
  connection.send(request(Command::flush, 2, 0, 0));
  connection.send(Message().raw(request(Command::write, 3, 0, 4096)).fill(100, 1));
  const Request read = connection.next();
  const Request flush = connection.next();
  connection.session->shutdown();
  connection.session->shutdown();
  EXPECT_TRUE(connection.session->recv_target().empty());
  Reader in(connection.receive());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(read_answer(in).error, WireError::eshutdown);
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_TRUE(connection.session->finished());
  EXPECT_EQ(connection.session->outstanding(), 2u);
  connection.session->complete(read.slot, 0, connection.data(512, 1));
  connection.session->complete(flush.slot, EIO);
  EXPECT_EQ(connection.session->outstanding(), 0u);
  EXPECT_FALSE(connection.session->has_output());
}

TEST(Session, AbandonedRequestsMayComplete) {
  Connection connection;
  connection.open();
  connection.send(request(Command::read, 1, 0, 512));
  connection.send(request(Command::read, 2, 0, 512));
  connection.session->complete(connection.next().slot, 0, connection.data(512, 1));
  connection.session->abandon();
  EXPECT_TRUE(connection.session->finished());
  EXPECT_FALSE(connection.session->has_output());
  EXPECT_EQ(connection.pool.bytes_out(), 0u);
  EXPECT_EQ(connection.session->outstanding(), 1u);
  connection.session->complete(connection.next().slot, 0, connection.data(512, 1));
  EXPECT_EQ(connection.session->outstanding(), 0u);
  EXPECT_EQ(connection.pool.bytes_out(), 0u);
}

TEST(Session, ShutdownFromInsideSubmit) {
  Connection connection;
  connection.sink.on_submit = [&](Request& each) {
    connection.session->shutdown();
    connection.session->complete(each.slot, 0);
  };
  connection.open();
  connection.send(Message().raw(request(Command::flush, 1, 0, 0)).raw(request(Command::flush, 2, 0, 0)));
  Reader in(connection.receive());
  EXPECT_EQ(read_answer(in).error, WireError::eshutdown);
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_TRUE(connection.session->finished());
}

TEST(Session, SocketWithoutNegotiation) {
  Connection connection;
  connection.session =
      std::make_unique<Session>(connection.directory.exports["disk"], connection.directory, connection.sink, connection.pool);
  EXPECT_FALSE(connection.session->has_output());
  connection.send(request(Command::read, 1, 0, 512));
  connection.session->complete(connection.next().slot, 0, connection.data(512, 1));
  EXPECT_EQ(connection.receive().size(), kSimpleReplyBytes + 512);
}

TEST(Session, SizeIsServedInWholeBlocks) {
  Connection connection;
  connection.directory.exports["disk"].size = (1 << 20) + 511;
  connection.open();
  EXPECT_EQ(connection.refused(request(Command::read, 1, 1 << 20, 512)).error, WireError::einval);
}

// Hang-up, loss and shutdown at every byte of a good write, a refused one, a read and a flush.
TEST(Session, EndsAtEveryByteOfItsRequests) {
  for (bool extended : {false, true}) {
    const auto ask = [extended](Command command, uint64_t cookie, uint64_t offset, uint32_t length) {
      const uint16_t flags = extended && command == Command::write ? kCmdPayloadLen : uint16_t{0};
      return extended ? extended_request(command, cookie, offset, length, flags) : request(command, cookie, offset, length);
    };
    const Bytes stream = Message()
                             .raw(ask(Command::write, 1, 0, 512))
                             .fill(512, 1)
                             .raw(ask(Command::write, 2, uint64_t{1} << 40, 512))
                             .fill(512, 2)
                             .raw(ask(Command::read, 3, 0, 512))
                             .raw(ask(Command::flush, 4, 0, 0));
    for (size_t length = 0; length <= stream.size(); ++length) {
      for (const std::string how : {"hang-up", "loss", "shutdown"}) {
        Connection connection;
        connection.greet();
        if (extended) connection.ask(option(Option::extended_headers));
        connection.ask(option(Option::go, go_data("disk")));
        connection.send(Bytes(stream.begin(), stream.begin() + static_cast<ptrdiff_t>(length)));
        if (how == "hang-up") connection.session->peer_closed();
        if (how == "loss") connection.session->abandon();
        if (how == "shutdown") connection.session->shutdown();
        EXPECT_TRUE(connection.session->recv_target().empty());
        while (!connection.sink.requests.empty()) {
          const Request each = connection.next();
          connection.session->complete(each.slot, 0, each.type == RequestType::read ? connection.data(512, 3) : BufferRef());
        }
        connection.receive();
        EXPECT_TRUE(connection.session->finished()) << how << " after " << length;
        EXPECT_EQ(connection.session->outstanding(), 0u);
        if (how == "loss") {
          EXPECT_EQ(connection.pool.bytes_out(), 0u);
        }
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::nbd
