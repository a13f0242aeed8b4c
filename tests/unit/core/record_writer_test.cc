#include "core/record_writer.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

class RecordWriterTest : public testing::Test {
 protected:
  RecordWriterTest() { context_.out = &effects_; }
  // The write that pump() begins; none: nothing to do.
  std::optional<WriteRecord> pump() {
    effects_.clear();
    writer_.pump();
    if (effects_.empty()) return std::nullopt;
    return std::get<WriteRecord>(effects_.at(0));
  }

  Context context_;
  Effects effects_;
  RecordWriter writer_{context_};
};

TEST_F(RecordWriterTest, WritesNothingUntilSomethingChanged) {
  EXPECT_TRUE(writer_.idle());
  EXPECT_FALSE(pump());
}

TEST_F(RecordWriterTest, RunsWhatWaitsOnceThatStateIsDurable) {
  int ran = 0;
  context_.record.inconsistent = true;
  writer_.changed([&] { ++ran; });
  EXPECT_FALSE(writer_.idle());
  const auto write = pump();
  ASSERT_TRUE(write);
  EXPECT_TRUE(write->record->inconsistent);
  EXPECT_EQ(ran, 0);
  EXPECT_FALSE(writer_.done({write->token.value + 1}, true)) << "not ours";
  EXPECT_TRUE(writer_.done(write->token, true));
  EXPECT_EQ(ran, 1);
  EXPECT_TRUE(writer_.idle());
  EXPECT_FALSE(writer_.done(write->token, true)) << "no longer ours";
}

TEST_F(RecordWriterTest, ChangesDuringAWriteShareTheNextOne) {
  std::vector<int> ran;
  writer_.changed([&] { ran.push_back(1); });
  const auto first = pump();
  writer_.changed([&] { ran.push_back(2); });
  writer_.changed([&] { ran.push_back(3); });
  EXPECT_FALSE(pump()) << "one at a time";
  EXPECT_TRUE(writer_.done(first->token, true));
  EXPECT_EQ(ran, std::vector<int>{1});
  const auto second = pump();
  ASSERT_TRUE(second);
  EXPECT_TRUE(writer_.done(second->token, true));
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
  EXPECT_FALSE(pump());
}

TEST_F(RecordWriterTest, NothingRunsOnceAWriteFailed) {
  int ran = 0;
  writer_.changed([&] { ++ran; });
  const auto write = pump();
  EXPECT_TRUE(writer_.done(write->token, false));
  EXPECT_TRUE(writer_.failed());
  writer_.changed([&] { ++ran; });
  EXPECT_FALSE(pump());
  EXPECT_EQ(ran, 0);
}

TEST_F(RecordWriterTest, StoppedItWritesNoMore) {
  writer_.stop();
  writer_.changed();
  EXPECT_FALSE(pump());
}

}  // namespace
}  // namespace lockstep
