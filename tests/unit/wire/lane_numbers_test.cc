#include "wire/lane_numbers.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

KeptFrame frame_of(size_t bytes) {
  KeptFrame frame;
  frame.head.resize(bytes);
  return frame;
}

TEST(LaneNumbers, ASenderKeepsWhatIsNotReceived) {
  LaneSender sender;
  for (size_t bytes = 1; bytes <= 4; ++bytes) sender.keep(frame_of(bytes));
  EXPECT_EQ(sender.bytes(), 10U);
  EXPECT_TRUE(sender.received(3));
  EXPECT_EQ(sender.first(), 3U);
  EXPECT_EQ(sender.bytes(), 4U);
  EXPECT_EQ(sender.at(3).bytes(), 4U);
  EXPECT_TRUE(sender.received(1)) << "an older word that came later";
  EXPECT_EQ(sender.first(), 3U);
  EXPECT_FALSE(sender.received(5)) << "there is none";
  EXPECT_TRUE(sender.received(4));
  EXPECT_EQ(sender.first(), sender.next());
  EXPECT_EQ(sender.bytes(), 0U);
}

TEST(LaneNumbers, AReceiverTakesEachOnceAndSeesAGap) {
  LaneReceiver receiver;
  EXPECT_EQ(receiver.take(0), LaneReceiver::Verdict::fresh);
  EXPECT_EQ(receiver.take(1), LaneReceiver::Verdict::fresh);
  EXPECT_EQ(receiver.take(0), LaneReceiver::Verdict::again);
  EXPECT_EQ(receiver.take(1), LaneReceiver::Verdict::again);
  EXPECT_EQ(receiver.take(3), LaneReceiver::Verdict::gap);
  EXPECT_EQ(receiver.expected(), 2U);
}

TEST(LaneNumbers, FramesComeBackAsTheyWere) {
  const auto position = encode(Position{uint64_t{1} << 40});
  ASSERT_TRUE(decode_position(position));
  EXPECT_EQ(decode_position(position)->next, uint64_t{1} << 40);
  const auto received = encode(Received{7, 9});
  ASSERT_TRUE(decode_received(received));
  EXPECT_EQ(decode_received(received)->control, 7U);
  EXPECT_EQ(decode_received(received)->data, 9U);
  EXPECT_FALSE(decode_position(received));
  EXPECT_FALSE(decode_received(position));
  EXPECT_FALSE(decode_position({}));
}

}  // namespace
}  // namespace lockstep
