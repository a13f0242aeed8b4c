#include "wire/framer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "samples.h"
#include "wire/message_codec.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::byte>;

Bytes pattern(size_t length) {
  Bytes bytes(length);
  for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(i * 31 + (i >> 8));
  return bytes;
}

void append(Bytes& stream, const Message& message) {
  const Bytes payload = pattern(payload_bytes_of(message));
  append_message_frame(stream, message, payload);
  stream.insert(stream.end(), payload.begin(), payload.end());
}

struct Outcome {
  std::vector<Frame> frames;
  FrameError error = FrameError::none;
  bool in_frame = false;
};

// Feeds `stream` in pieces that end at each of `cuts`.
Outcome feed(BufferPool& pool, std::span<const std::byte> stream, const std::vector<size_t>& cuts) {
  Framer framer(&pool);
  Outcome outcome;
  size_t at = 0;
  const auto deliver = [&](size_t until) {
    while (at < until && framer.error() == FrameError::none) {
      size_t taken = 0;
      for (const auto& space : framer.space()) {
        const size_t count = std::min(space.size(), until - at);
        if (count == 0) continue;
        std::memcpy(space.data(), stream.data() + at, count);
        at += count;
        taken += count;
      }
      ASSERT_GT(taken, 0u) << "no space although nothing is stalled";
      framer.received(taken);
      while (auto frame = framer.next()) outcome.frames.push_back(std::move(*frame));
    }
  };
  for (size_t cut : cuts) deliver(cut);
  deliver(stream.size());
  outcome.error = framer.error();
  outcome.in_frame = framer.in_frame();
  return outcome;
}

void expect_samples(const Outcome& outcome) {
  const auto messages = sample_messages();
  ASSERT_EQ(outcome.error, FrameError::none);
  ASSERT_EQ(outcome.frames.size(), messages.size());
  EXPECT_FALSE(outcome.in_frame);
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(outcome.frames[i].message, messages[i]);
    const Bytes payload = pattern(payload_bytes_of(messages[i]));
    ASSERT_EQ(static_cast<bool>(outcome.frames[i].payload), !payload.empty());
    if (payload.empty()) continue;
    ASSERT_EQ(outcome.frames[i].payload->size(), payload.size());
    EXPECT_EQ(std::memcmp(outcome.frames[i].payload->data(), payload.data(), payload.size()), 0);
  }
}

Bytes all_samples() {
  Bytes stream;
  for (const Message& message : sample_messages()) append(stream, message);
  return stream;
}

TEST(Framer, CutsAtEveryOffset) {
  BufferPool pool(1 << 20);
  const Bytes stream = all_samples();
  for (size_t cut = 0; cut <= stream.size(); cut += 1) {
    expect_samples(feed(pool, stream, {cut}));
    if (HasFatalFailure()) FAIL() << "cut at " << cut;
  }
}

TEST(Framer, ByteByByte) {
  BufferPool pool(1 << 20);
  const Bytes stream = all_samples();
  std::vector<size_t> cuts;
  for (size_t i = 1; i < stream.size(); ++i) cuts.push_back(i);
  expect_samples(feed(pool, stream, cuts));
}

TEST(Framer, ALargePayloadIsReceivedInPlace) {
  BufferPool pool(size_t{64} << 20);
  const uint64_t length = size_t{4} << 20;
  Bytes stream;
  append(stream, WriteRequest{sample_stamp(), OpId{1}, 1, OpKind::write, {0, length}, false});
  append(stream, FlushRequest{sample_stamp(), OpId{2}});
  Framer framer(&pool);
  const auto first = framer.space();
  std::memcpy(first[0].data(), stream.data(), 200);
  framer.received(200);
  EXPECT_FALSE(framer.next());
  const auto direct = framer.space();
  ASSERT_GT(direct[0].size(), length - 200);  // all that is missing, straight into the buffer
  std::memcpy(direct[0].data(), stream.data() + 200, direct[0].size());
  const size_t rest = stream.size() - 200 - direct[0].size();
  std::memcpy(direct[1].data(), stream.data() + 200 + direct[0].size(), rest);
  framer.received(direct[0].size() + rest);
  const auto write = framer.next();
  ASSERT_TRUE(write.has_value());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(write->payload->data()) % BufferPool::kAlignment, 0u);
  EXPECT_TRUE(framer.next().has_value());
  EXPECT_FALSE(framer.in_frame());
}

TEST(Framer, EveryBitFlipIsRefused) {
  BufferPool pool(1 << 20);
  for (const Message& message : {Message(sample_messages()[0]), Message(sample_messages()[15])}) {
    Bytes stream;
    append(stream, message);
    for (size_t bit = 0; bit < std::min<size_t>(stream.size(), 400) * 8; ++bit) {
      Bytes damaged = stream;
      damaged[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
      const Outcome outcome = feed(pool, damaged, {});
      EXPECT_NE(outcome.error, FrameError::none) << "bit " << bit;
      EXPECT_TRUE(outcome.frames.empty()) << "bit " << bit;
    }
  }
}

TEST(Framer, ATruncatedStreamGivesNothingAndSaysSo) {
  BufferPool pool(1 << 20);
  Bytes stream;
  append(stream, sample_messages()[15]);
  for (size_t length = 1; length < stream.size(); ++length) {
    const Outcome outcome = feed(pool, std::span(stream).first(length), {});
    EXPECT_TRUE(outcome.frames.empty());
    EXPECT_TRUE(outcome.in_frame) << length;
  }
}

TEST(Framer, APoolWithoutSpaceStallsAndGoesOnLater) {
  BufferPool pool(8192);
  BufferRef hog = pool.allocate(8192);
  Bytes stream;
  append(stream, sample_messages()[15]);
  Framer framer(&pool);
  std::memcpy(framer.space()[0].data(), stream.data(), stream.size());
  framer.received(stream.size());
  EXPECT_FALSE(framer.next());
  EXPECT_TRUE(framer.stalled());
  EXPECT_TRUE(framer.space()[0].empty());
  hog = {};
  const auto frame = framer.next();
  ASSERT_TRUE(frame.has_value());
  EXPECT_FALSE(framer.stalled());
  EXPECT_EQ(frame->message, sample_messages()[15]);
}

TEST(Framer, PayloadsMustBeAnnouncedAndAllowed) {
  BufferPool pool(1 << 20);
  Bytes body;
  encode_message(body, sample_messages()[15]);
  Bytes stream;
  append_frame(stream, FrameType::write_request, body, pattern(512));  // the message says 4096
  EXPECT_EQ(feed(pool, stream, {}).error, FrameError::payload_mismatch);
  stream.clear();
  append_frame(stream, FrameType::ping, {}, pattern(512));
  EXPECT_EQ(feed(pool, stream, {}).error, FrameError::payload_mismatch);

  stream.clear();
  append(stream, sample_messages()[15]);
  Framer without(nullptr);
  std::memcpy(without.space()[0].data(), stream.data(), 200);
  without.received(200);
  EXPECT_FALSE(without.next());
  EXPECT_EQ(without.error(), FrameError::payload_mismatch);
}

}  // namespace
}  // namespace lockstep
