// The EXTENDED_HEADERS extension: its negotiation, requests of 64 bits, and replies that all have one form.
#include "harness.h"

namespace lockstep::nbd {
namespace {

constexpr uint64_t kLarge = uint64_t{1} << 50;

class ExtendedHeaders : public testing::Test {
 protected:
  void open(bool status = false) {
    connection_.directory.exports["disk"].size = kLarge;
    connection_.greet();
    EXPECT_EQ(connection_.ask(option(Option::extended_headers)).type, OptionReply::ack);
    if (status) {
      EXPECT_EQ(connection_.ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"}))).type, OptionReply::ack);
    }
    EXPECT_EQ(connection_.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
    ASSERT_FALSE(connection_.session->negotiating());
  }
  Answer answer() {
    Reader in(connection_.receive());
    const Answer answer = read_answer(in);
    EXPECT_EQ(in.remaining(), 0u);
    EXPECT_TRUE(answer.extended);
    return answer;
  }
  Answer refused(const Bytes& bytes) {
    const Answer answer = connection_.refused(bytes);
    EXPECT_TRUE(answer.extended);
    return answer;
  }
  static Bytes query(uint64_t cookie, uint64_t offset, uint64_t length, std::vector<uint32_t> contexts) {
    Message message;
    message.raw(extended_request(Command::block_status, cookie, offset, 8 + 4 * contexts.size(), kCmdPayloadLen)).be(length);
    for (uint32_t context : contexts) message.be(context);
    return message;
  }
  Connection connection_;
};

TEST_F(ExtendedHeaders, TakePrecedenceOverStructuredReplies) {
  connection_.greet();
  EXPECT_EQ(connection_.ask(option(Option::structured_reply)).type, OptionReply::ack);
  EXPECT_EQ(connection_.ask(option(Option::extended_headers, {std::byte{1}})).type, OptionReply::err_invalid);
  EXPECT_EQ(connection_.ask(option(Option::extended_headers)).type, OptionReply::ack);
  EXPECT_EQ(connection_.ask(option(Option::extended_headers)).type, OptionReply::ack);
  EXPECT_EQ(connection_.ask(option(Option::structured_reply)).type, OptionReply::err_ext_header_reqd);
  EXPECT_EQ(connection_.ask(option(Option::list_meta_context, meta_data("disk", {}))).type, OptionReply::ack);
}

TEST_F(ExtendedHeaders, ForbidTheOldWayIn) {
  connection_.greet();
  EXPECT_EQ(connection_.ask(option(Option::extended_headers)).type, OptionReply::ack);
  connection_.send(option(Option::export_name, Message().text("disk")));
  EXPECT_TRUE(connection_.session->finished());
  EXPECT_EQ(connection_.directory.opens, 0);
}

TEST_F(ExtendedHeaders, AreToldOfQueriesByContextOnlyWithAContext) {
  const ExportInfo info;
  const auto offered = [&info](Agreed agreed) { return (transmission_flags(info, agreed) & kTransBlockStatusPayload) != 0; };
  EXPECT_TRUE(offered({true, true, true}));
  EXPECT_FALSE(offered({true, true, false}));
  EXPECT_FALSE(offered({true, false, true}));
}

TEST_F(ExtendedHeaders, EveryReplyIsAChunkWithTheRequestsOffset) {
  open();
  connection_.send(Message().raw(extended_request(Command::write, 1, kLarge - 512, 512, kCmdPayloadLen | kCmdFua)).fill(512, 7));
  const Request write = connection_.next();
  EXPECT_EQ(write.type, RequestType::write);
  EXPECT_TRUE(write.fua);
  EXPECT_EQ(write.payload->data()[511], std::byte{7});
  connection_.session->complete(write.slot, 0);
  Answer is = answer();
  EXPECT_EQ(is.cookie, 1u);
  EXPECT_EQ(is.chunk, Chunk::none);
  EXPECT_EQ(is.request_offset, kLarge - 512);

  connection_.send(extended_request(Command::read, 2, 4096, 512));
  connection_.session->complete(connection_.next().slot, 0, connection_.data(512, 9));
  is = answer();
  EXPECT_EQ(is.chunk, Chunk::offset_data);
  EXPECT_EQ(is.request_offset, 4096u);
  EXPECT_EQ(is.offset, 4096u);
  EXPECT_EQ(is.data, Bytes(512, std::byte{9}));

  connection_.send(extended_request(Command::flush, 3, 77, 0));
  connection_.session->complete(connection_.next().slot, ENOSPC);
  is = answer();
  EXPECT_EQ(is.chunk, Chunk::error);
  EXPECT_EQ(is.error, WireError::enospc);
  EXPECT_EQ(is.request_offset, 77u);
}

TEST_F(ExtendedHeaders, WhatCarriesNoDataMayBeLongerThan32Bits) {
  open();
  for (const auto& [command, type] :
       {std::pair(Command::trim, RequestType::trim), std::pair(Command::write_zeroes, RequestType::write_zeroes)}) {
    connection_.send(extended_request(command, 1, 512, kLarge - 512));
    const Request request = connection_.next();
    EXPECT_EQ(request.type, type);
    EXPECT_EQ(request.length, kLarge - 512);
    connection_.session->complete(request.slot, 0);
    EXPECT_EQ(answer().error, WireError::none);
  }
  EXPECT_EQ(refused(extended_request(Command::trim, 1, 512, kLarge)).error, WireError::einval);
  EXPECT_EQ(refused(extended_request(Command::write_zeroes, 1, 512, UINT64_MAX - 511)).error, WireError::enospc);
  EXPECT_EQ(refused(extended_request(Command::read, 1, 0, uint64_t{kAcceptedPayload} + 512)).error, WireError::eoverflow);
  EXPECT_EQ(refused(extended_request(Command::read, 1, 0, uint64_t{1} << 32)).error, WireError::eoverflow)
      << "its low half is zero";
}

// Of a write whose flag is missing no data follows; what no command takes is skipped.
TEST_F(ExtendedHeaders, ThePayloadIsWhatTheFlagSays) {
  open();
  EXPECT_EQ(refused(extended_request(Command::write, 1, 0, 512)).error, WireError::einval);
  EXPECT_EQ(refused(extended_request(Command::write, 2, 0, 0, kCmdPayloadLen)).error, WireError::none);
  for (Command command :
       {Command::read, Command::trim, Command::flush, Command::cache, Command::block_status, static_cast<Command>(77)}) {
    const Answer is = refused(Message().raw(extended_request(command, 3, 0, 4096, kCmdPayloadLen)).fill(4096, 0xee));
    EXPECT_EQ(is.error, WireError::einval);
    EXPECT_EQ(is.cookie, 3u);
  }
  connection_.send(extended_request(Command::flush, 4, 0, 0));
  EXPECT_EQ(connection_.next().type, RequestType::flush) << "in step";
}

TEST_F(ExtendedHeaders, AnOversizePayloadEndsTheConnection) {
  for (uint64_t length : {uint64_t{kAcceptedPayload} + 1, uint64_t{1} << 32, UINT64_MAX}) {
    for (Command command : {Command::write, Command::trim, Command::block_status, static_cast<Command>(77)}) {
      Connection connection;
      connection.greet();
      connection.ask(option(Option::extended_headers));
      connection.ask(option(Option::go, go_data("disk")));
      connection.send(extended_request(command, 1, 0, length, kCmdPayloadLen));
      EXPECT_TRUE(connection.session->finished()) << length;
      EXPECT_EQ(connection.pool.bytes_out(), 0u);
    }
  }
}

TEST_F(ExtendedHeaders, OldRequestsAreJunkAfterThem) {
  open();
  connection_.send(Message().raw(request(Command::flush, 1, 0, 0)).fill(4, 0));
  EXPECT_TRUE(connection_.session->finished());
}

TEST_F(ExtendedHeaders, StatusHasDescriptorsOf64Bits) {
  open(true);
  EXPECT_TRUE(connection_.session->negotiated().contexts.has(kBaseAllocationId));
  Answer is = refused(extended_request(Command::block_status, 5, 512, kLarge - 512));
  EXPECT_EQ(is.chunk, Chunk::block_status_ext);
  EXPECT_EQ(is.request_offset, 512u);
  Reader payload(is.data);
  EXPECT_EQ(payload.be<uint32_t>(), kBaseAllocationId);
  EXPECT_EQ(payload.be<uint32_t>(), 1u);
  EXPECT_EQ(payload.be<uint64_t>(), kLarge - 512);
  EXPECT_EQ(payload.be<uint64_t>(), 0u);
  EXPECT_EQ(payload.remaining(), 0u);
}

TEST_F(ExtendedHeaders, AQueryMayNameItsContexts) {
  open(true);
  Answer is = refused(query(6, 4096, uint64_t{1} << 40, {kBaseAllocationId}));
  EXPECT_EQ(is.chunk, Chunk::block_status_ext);
  EXPECT_EQ(is.cookie, 6u);
  Reader payload(is.data);
  payload.be<uint64_t>();
  EXPECT_EQ(payload.be<uint64_t>(), uint64_t{1} << 40);
  const std::vector<std::vector<uint32_t>> wrong{{}, {2}, {kBaseAllocationId, kBaseAllocationId}, {kBaseAllocationId, 2}};
  for (const auto& contexts : wrong) EXPECT_EQ(refused(query(7, 0, 512, contexts)).error, WireError::einval) << contexts.size();
  EXPECT_EQ(refused(query(8, 0, 0, {kBaseAllocationId})).error, WireError::einval);
  EXPECT_EQ(refused(query(8, kLarge, 512, {kBaseAllocationId})).error, WireError::einval);
  EXPECT_EQ(refused(Message().raw(extended_request(Command::block_status, 9, 0, 13, kCmdPayloadLen)).fill(13, 0)).error,
            WireError::einval);
}

TEST_F(ExtendedHeaders, ArriveInPiecesOfAnySize) {
  for (size_t piece : {size_t{1}, size_t{7}, size_t{31}, size_t{33}}) {
    Connection connection;
    connection.greet();
    connection.ask(option(Option::extended_headers));
    connection.ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"})));
    connection.ask(option(Option::go, go_data("disk")));
    const Bytes stream = Message()
                             .raw(query(1, 0, 4096, {kBaseAllocationId}))
                             .raw(extended_request(Command::write, 2, 0, 512, kCmdPayloadLen))
                             .fill(512, 3)
                             .raw(query(3, 0, 4096, {9}))
                             .raw(extended_request(Command::flush, 4, 0, 0));
    EXPECT_EQ(connection.send(stream, piece), stream.size());
    EXPECT_EQ(connection.next().type, RequestType::write);
    EXPECT_EQ(connection.next().type, RequestType::flush);
    Reader in(connection.receive(piece));
    EXPECT_EQ(read_answer(in).chunk, Chunk::block_status_ext);
    EXPECT_EQ(read_answer(in).error, WireError::einval);
  }
}

TEST_F(ExtendedHeaders, AQueryMayNameSomeOfSeveralContexts) {
  connection_.directory.exports["disk"].contexts = {"own:first", "own:second", "own:third"};
  connection_.greet();
  connection_.ask(option(Option::extended_headers));
  connection_.ask(option(Option::set_meta_context, meta_data("disk", {"own:third", "base:allocation", "own:first"})));
  connection_.ask(option(Option::go, go_data("disk")));
  connection_.send(query(1, 0, 4096, {own_context_id(2), kBaseAllocationId}));
  const Request request = connection_.next();
  EXPECT_EQ(request.contexts, ContextSet::of(own_context_id(2))) << "the other one is not the owner's";
  connection_.session->complete_status(request.slot, {{own_context_id(2), {{uint64_t{1} << 40, 5}}}});
  Reader in(connection_.receive());
  Answer is = read_answer(in, {}, 0);
  EXPECT_EQ(Reader(is.data).be<uint32_t>(), kBaseAllocationId);
  is = read_answer(in);
  EXPECT_EQ(Reader(is.data).be<uint32_t>(), own_context_id(2));
  EXPECT_EQ(is.data.size(), 4u + 4u + 16u);
  EXPECT_EQ(refused(query(2, 0, 4096, {kBaseAllocationId})).chunk, Chunk::block_status_ext) << "known without the owner";
  EXPECT_EQ(refused(query(3, 0, 4096, {own_context_id(1)})).error, WireError::einval) << "not selected";
  EXPECT_EQ(refused(query(3, 0, 4096, {UINT32_MAX})).error, WireError::einval);
}

}  // namespace
}  // namespace lockstep::nbd
