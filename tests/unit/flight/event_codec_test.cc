#include "flight/event_codec.h"

#include <gtest/gtest.h>

#include <array>

#include "../wire/samples.h"
#include "flight/describe.h"

namespace lockstep::flight {
namespace {

std::vector<Event> sample_events() {
  const Range range{40960, 8192};
  std::vector<Event> events = {
      ClientRequest{{7}, OpKind::write, range, true, {12}},
      ClientRequest{{8}, OpKind::read, {49152, 4096}, false, {}},
      ClientRequest{{9}, OpKind::flush, {}, false, {}},
      ClientRequest{{10}, OpKind::trim, {1, 3}, false, {}},  // nothing that a unit divides
      ClientRequest{{5}, OpKind::write_zeroes, {0, UINT64_MAX / 2}, false, {}},
      DiskDone{{uint64_t{1} << 63}, IoStatus::ok},
      DiskDone{{3}, IoStatus::shut_down},
      DiskDone{{4}, IoStatus::ok, 0x8000000000000001},
      MetaDone{{77}, true},
      MetaDone{{76}, false},
      LinkUp{Seat{1}, {1000}},
      LinkDown{witness_seat(3), {UINT64_MAX}},
      AdminRequest{{4}, AdminOp::stop, kNoSeat, {}, {}},
      AdminRequest{{7}, AdminOp::allow_resync, Seat{1}, sample_uuid(3), {}, 300},
      AdminRequest{{6}, AdminOp::verify, Seat{1}, sample_uuid(3), {4096, 8192}},
      AdminRequest{{8}, AdminOp::resize, kNoSeat, {}, {0, 1 << 20}, 0, true},
      AdminRequest{{8}, AdminOp::shrink, kNoSeat, {}, {0, 1 << 20}},
      AdminRequest{{10}, AdminOp::outdate, kNoSeat, {}, {}},
      AdminRequest{{9}, AdminOp::change_nodes, kNoSeat, {}, {}, 0, false, {Seat{0}, Seat{1}, witness_seat(0)}},
      MessageReceived{Seat{1}, {4}, FollowerWrite{sample_stamp(), 90, 80, 70, OpKind::write, {4096, 4096}, true}, {}},
      MessageReceived{Seat{1}, {4}, WriteReceived{{90}}, {}},
      MessageReceived{Seat{1}, {4}, FollowerFlush{sample_stamp(), {8}, 90}, {}},
      MessageReceived{Seat{1}, {4}, ResyncWrite{sample_stamp(), {8}, OpKind::write, {0, 4096}, 1, 0}, {}},
      MessageReceived{Seat{1}, {4}, ResyncWrite{sample_stamp(), {9}, OpKind::write, {0, 4096}, 0, uint64_t{1} << 63}, {}},
      MessageReceived{Seat{1}, {4}, ResyncWrite{sample_stamp(), {10}, OpKind::trim, {0, 4096}, 0, 0}, {}},
      AdminRequest{{5}, AdminOp::invalidate_remote, Seat{1}, sample_uuid(3), {}},
      FenceDone{Seat{1}, sample_uuid(9), -1},
      FenceDone{Seat{0}, sample_uuid(9), 7},
      Tick{},
  };
  uint64_t link = 5;
  for (const Message& message : sample_messages()) {
    events.push_back(MessageReceived{Seat{1}, {link}, message, {}});
    events.push_back(MessageReceived{witness_seat(0), {link++}, message, {link * 3}});
  }
  return events;
}

class EventCodec : public testing::Test {
 protected:
  std::vector<std::byte> encode(Instant now, const Event& event) {
    std::vector<std::byte> bytes(kMaxEventBytes);
    Packer out(bytes);
    encode_event(out, writing_, scratch_, now, event);
    bytes.resize(out.size());
    return bytes;
  }
  std::optional<TimedEvent> decode(std::span<const std::byte> bytes, size_t index) {
    return decode_event(Unpacker(bytes), reading_, index);
  }
  Baselines writing_, reading_;
  std::vector<std::byte> scratch_;
};

// The codecs are compared by their text, which has every field that matters, and by encoding again.
TEST_F(EventCodec, EveryEventComesBackAsItWas) {
  std::array<bool, std::variant_size_v<Event>> seen{};
  Instant now{5};
  for (int turn = 0; turn < 2; ++turn) {
    for (const Event& event : sample_events()) {
      seen[event.index()] = true;
      now.ns += 1234567 * (turn == 0 ? 1 : -1);
      Baselines before = writing_;
      const auto bytes = encode(now, event);
      const auto back = decode(bytes, event.index());
      ASSERT_TRUE(back.has_value()) << describe(event);
      EXPECT_EQ(back->now, now);
      EXPECT_EQ(describe(back->event), describe(event));
      std::swap(before, writing_);
      EXPECT_EQ(encode(now, back->event), bytes) << describe(event);
    }
  }
  for (const bool each : seen) EXPECT_TRUE(each) << "an alternative has no sample";
}

TEST_F(EventCodec, TruncatedOrLongerIsRefused) {
  for (const Event& event : sample_events()) {
    writing_ = {};
    auto bytes = encode(Instant{1}, event);
    for (size_t length = 0; length < bytes.size(); ++length) {
      reading_ = {};
      EXPECT_FALSE(decode(std::span(bytes).first(length), event.index())) << length << " of " << describe(event);
    }
    bytes.push_back(std::byte{0});
    reading_ = {};
    EXPECT_FALSE(decode(bytes, event.index())) << describe(event);
  }
}

TEST_F(EventCodec, UnknownValuesAreRefused) {
  const auto refused = [this](const Event& event, size_t place, uint8_t value) {
    writing_ = {};
    auto bytes = encode(Instant{}, event);
    bytes.at(place) = std::byte{value};
    reading_ = {};
    return !decode(bytes, event.index()).has_value();
  };
  EXPECT_TRUE(refused(ClientRequest{}, 1, 5));                                         // kind
  EXPECT_TRUE(refused(DiskDone{}, 1, 6));                                              // status
  EXPECT_TRUE(refused(DiskDone{}, 1, 0x80));                                           // a mask that is not there
  EXPECT_TRUE(refused(MetaDone{}, 1, 2));                                              // flag
  EXPECT_TRUE(refused(LinkUp{Seat{1}, {}}, 1, kMaxSeats));                             // seat
  EXPECT_TRUE(refused(AdminRequest{}, 1, static_cast<uint8_t>(AdminOp::shrink) + 1));  // command
  EXPECT_FALSE(decode({}, std::variant_size_v<Event>)) << "an event that there is not";
}

// Instants count from 0. One before that, or past what 64 bits hold, is in no recording of ours; their differences could overflow.
TEST_F(EventCodec, InstantsThatCannotBeAreRefused) {
  const auto last = encode(Instant{INT64_MAX}, Tick{});
  const auto one_more = encode(Instant{INT64_MAX}, Tick{});
  ASSERT_TRUE(decode(last, Event(Tick{}).index()));
  EXPECT_TRUE(decode(one_more, Event(Tick{}).index()));
  EXPECT_FALSE(decode(std::vector{std::byte{2}}, Event(Tick{}).index())) << "wraps";
  reading_ = {};
  EXPECT_FALSE(decode(std::vector{std::byte{1}}, Event(Tick{}).index())) << "before 0";
}

// What a recording is made of, mostly.
TEST_F(EventCodec, FrequentEventsAreSmall) {
  const MessageReceived reply{Seat{1}, {4}, WriteReply{sample_stamp(), {(uint64_t{90} << 32) + 7}, IoStatus::ok}, {}};
  encode(Instant{1'000'000'000}, reply);
  MessageReceived next = reply;
  std::get<WriteReply>(next.message).op.value += 1;
  EXPECT_LE(encode(Instant{1'000'020'000}, next).size(), 10U);
  encode(Instant{1'000'030'000}, DiskDone{{100}, IoStatus::ok});
  EXPECT_LE(encode(Instant{1'000'050'000}, DiskDone{{101}, IoStatus::ok}).size(), 5U);
}

}  // namespace
}  // namespace lockstep::flight
