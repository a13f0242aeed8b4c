#include "wire/message_codec.h"

#include <gtest/gtest.h>

#include "core/codec/tenure_codec.h"
#include "samples.h"

namespace lockstep {
namespace {

std::vector<std::byte> body_of(const Message& message) {
  std::vector<std::byte> body;
  encode_message(body, message);
  return body;
}

TEST(MessageCodec, EveryMessageComesBackAsItWas) {
  const auto messages = sample_messages();
  ASSERT_EQ(messages.size(), std::variant_size_v<Message>);
  for (size_t i = 0; i < messages.size(); ++i) {
    ASSERT_EQ(messages[i].index(), i) << "a sample is missing or out of order";
    const auto body = body_of(messages[i]);
    ASSERT_LE(body.size(), kMaxBodyBytes);
    const auto back = decode_message(type_of(messages[i]), body);
    ASSERT_TRUE(back.has_value()) << i;
    EXPECT_EQ(*back, messages[i]) << i;
  }
}

// The numbers on the wire are for ever, whatever becomes of the order of the variant.
TEST(MessageCodec, TypeNumbersArePinned) {
  EXPECT_EQ(type_of(Prepare{}), FrameType::prepare);
  EXPECT_EQ(type_of(Promise{}), FrameType::promise);
  EXPECT_EQ(type_of(Accept{}), FrameType::accept);
  EXPECT_EQ(type_of(Accepted{}), FrameType::accepted);
  EXPECT_EQ(type_of(VoteRefused{}), FrameType::vote_refused);
  EXPECT_EQ(type_of(LeaseRequest{}), FrameType::lease_request);
  EXPECT_EQ(type_of(LeaseGranted{}), FrameType::lease_granted);
  EXPECT_EQ(type_of(LeaseRefused{}), FrameType::lease_refused);
  EXPECT_EQ(type_of(LeaseReleased{}), FrameType::lease_released);
  EXPECT_EQ(type_of(BootEnded{}), FrameType::boot_ended);
  EXPECT_EQ(type_of(AcceptanceCounted{}), FrameType::acceptance_counted);
  EXPECT_EQ(type_of(PeerHello{}), FrameType::peer_hello);
  EXPECT_EQ(type_of(TenureDecided{}), FrameType::tenure_decided);
  EXPECT_EQ(type_of(TenureAdopted{}), FrameType::tenure_adopted);
  EXPECT_EQ(type_of(DiskCondition{}), FrameType::disk_condition);
  EXPECT_EQ(type_of(WriteRequest{}), FrameType::write_request);
  EXPECT_EQ(type_of(WriteReply{}), FrameType::write_reply);
  EXPECT_EQ(type_of(FlushRequest{}), FrameType::flush_request);
  EXPECT_EQ(type_of(FlushReply{}), FrameType::flush_reply);
  EXPECT_EQ(type_of(ReadRequest{}), FrameType::read_request);
  EXPECT_EQ(type_of(ReadReply{}), FrameType::read_reply);
  EXPECT_EQ(type_of(Settled{}), FrameType::settled);
  EXPECT_EQ(type_of(ResyncBegin{}), FrameType::resync_begin);
  EXPECT_EQ(type_of(ResyncMap{}), FrameType::resync_map);
  EXPECT_EQ(type_of(ResyncWrite{}), FrameType::resync_write);
  EXPECT_EQ(type_of(JoinPrepare{}), FrameType::join_prepare);
  EXPECT_EQ(type_of(JoinReady{}), FrameType::join_ready);
  EXPECT_EQ(type_of(DropMe{}), FrameType::drop_me);
  EXPECT_EQ(static_cast<int>(FrameType::prepare), 1);
  EXPECT_EQ(static_cast<int>(FrameType::drop_me), 28);
  EXPECT_EQ(static_cast<int>(FrameType::voter_hello), 29);
  EXPECT_EQ(static_cast<int>(FrameType::superseded), 30);
  EXPECT_EQ(static_cast<int>(FrameType::caretaking), 31);
  EXPECT_EQ(static_cast<int>(FrameType::yield_request), 32);
  EXPECT_EQ(static_cast<int>(FrameType::differences), 33);
  EXPECT_EQ(static_cast<int>(FrameType::resync_declined), 34);
  EXPECT_EQ(static_cast<int>(FrameType::disk_remembered), 35);
  EXPECT_EQ(static_cast<int>(FrameType::compare_request), 36);
  EXPECT_EQ(static_cast<int>(FrameType::compare_reply), 37);
  EXPECT_EQ(static_cast<int>(FrameType::resync_paused), 38);
  EXPECT_EQ(static_cast<int>(FrameType::nodes_configured), 39);
  EXPECT_EQ(static_cast<int>(FrameType::follower_write), 40);
  EXPECT_EQ(static_cast<int>(FrameType::write_received), 41);
  EXPECT_EQ(static_cast<int>(FrameType::follower_flush), 42);
  EXPECT_EQ(static_cast<int>(FrameType::following), 43);
}

TEST(MessageCodec, EveryTruncationAndEveryExcessIsRefused) {
  for (const Message& message : sample_messages()) {
    auto body = body_of(message);
    for (size_t length = 0; length < body.size(); ++length) {
      EXPECT_FALSE(decode_message(type_of(message), std::span(body).first(length))) << message.index() << " " << length;
    }
    body.push_back(std::byte{0});
    EXPECT_FALSE(decode_message(type_of(message), body)) << message.index();
  }
}

TEST(MessageCodec, WhatNoSenderMeansIsRefused) {
  const auto refused = [](const Message& message) { return !decode_message(type_of(message), body_of(message)); };
  const Range wraps{~uint64_t{0}, 4096};
  EXPECT_TRUE(refused(WriteRequest{sample_stamp(), OpId{1}, 1, OpKind::read, {0, 4096}, false}));
  EXPECT_TRUE(refused(WriteRequest{sample_stamp(), OpId{1}, 1, OpKind::write, wraps, false}));
  EXPECT_TRUE(refused(ReadRequest{sample_stamp(), OpId{1}, wraps}));
  EXPECT_TRUE(refused(ResyncWrite{sample_stamp(), OpId{1}, OpKind::flush, {0, 4096}}));
  EXPECT_TRUE(refused(FollowerWrite{sample_stamp(), 5, 4, 3, OpKind::flush, {0, 4096}, false}));
  EXPECT_TRUE(refused(FollowerWrite{sample_stamp(), 5, 5, 3, OpKind::write, {0, 4096}, false}));
  EXPECT_TRUE(refused(FollowerWrite{sample_stamp(), 5, 4, 5, OpKind::write, {0, 4096}, false}));
  // Blocks that are left out: of a write only, whole ones only, and no more than a mask has bits.
  EXPECT_TRUE(refused(ResyncWrite{sample_stamp(), OpId{1}, OpKind::trim, {0, 4096}, 1}));
  EXPECT_TRUE(refused(ResyncWrite{sample_stamp(), OpId{1}, OpKind::write, {0, 4096 + 512}, 2}));
  EXPECT_TRUE(refused(ResyncWrite{sample_stamp(), OpId{1}, OpKind::write, {0, 65 * 4096}, 1}));
  EXPECT_TRUE(refused(CompareRequest{sample_stamp(), OpId{1}, {0, 65 * 4096}}));
  EXPECT_TRUE(refused(CompareRequest{sample_stamp(), OpId{1}, {4096, 0}}));
  EXPECT_TRUE(refused(Promise{sample_ballot(2), sample_voter(), Ballot{}, sample_tenure()}));
  EXPECT_TRUE(refused(Promise{sample_ballot(2), sample_voter(), sample_ballot(1), std::nullopt}));
  EXPECT_TRUE(refused(WriteReply{sample_stamp(), OpId{1}, static_cast<IoStatus>(200)}));
  EXPECT_TRUE(refused(BootEnded{Seat{32}, sample_uuid(1)}));
  EXPECT_TRUE(refused(LeaseRequest{1, sample_holder(), sample_stamp(), sample_ballot(1), Duration{-1}}));
  ResyncMap map;
  map.runs.push_back({~uint64_t{0}, 2});
  EXPECT_TRUE(refused(map));
}

TEST(MessageCodec, UnknownTypesHaveNoBody) {
  for (int type = 0; type < 256; ++type) {
    if (is_message_type(static_cast<uint8_t>(type))) continue;
    EXPECT_FALSE(decode_message(static_cast<FrameType>(type), {}));
  }
}

TEST(TenureCodec, AcceptorRecordComesBackAsItWas) {
  AcceptorRecord record{sample_uuid(1), sample_ballot(4), sample_ballot(3), sample_tenure(), seconds(3)};
  for (const AcceptorRecord& sample : {record, AcceptorRecord{sample_uuid(2), {}, {}, std::nullopt, {}}}) {
    std::vector<std::byte> bytes;
    ByteWriter out(bytes);
    encode_acceptor_record(out, sample);
    EXPECT_LE(bytes.size(), kMaxAcceptorRecordBytes);
    ByteReader in(bytes);
    EXPECT_EQ(decode_acceptor_record(in), sample);
    EXPECT_TRUE(in.at_end());
    for (size_t length = 0; length < bytes.size(); ++length) {
      ByteReader part(std::span<const std::byte>(bytes).first(length));
      decode_acceptor_record(part);
      EXPECT_FALSE(part.ok()) << length;
    }
  }
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  encode_tenure(out, sample_tenure());
  EXPECT_EQ(bytes.size(), kMaxTenureBytes);
}

}  // namespace
}  // namespace lockstep
