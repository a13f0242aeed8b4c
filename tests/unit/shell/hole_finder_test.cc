#include "shell/loop/hole_finder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace lockstep {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMiB = 1 << 20;

class HoleFinderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "lockstep-holes-XXXXXX").string();
    fd = UniqueFd(::mkstemp(name.data()));
    ASSERT_TRUE(fd.ok());
    ::unlink(name.c_str());
    ASSERT_EQ(::ftruncate(fd.get(), 8 * kMiB), 0);
    if (::lseek(fd.get(), 0, SEEK_DATA) >= 0) GTEST_SKIP() << "the file system has no holes";
    write_at(kMiB);
    write_at(3 * kMiB);
    auto made = EventLoop::create(IoEngine::automatic);
    ASSERT_TRUE(made.ok());
    loop = std::move(made).value();
  }
  void write_at(uint64_t offset) {
    const std::string data(kMiB, 'x');
    ASSERT_EQ(::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(offset)), static_cast<ssize_t>(kMiB));
  }
  UniqueFd fd;
  std::unique_ptr<EventLoop> loop;
};

using All = std::vector<Stretch>;

TEST_F(HoleFinderTest, CoversTheRangeInTurns) {
  const All all{{kMiB, true}, {kMiB, false}, {kMiB, true}, {kMiB, false}, {4 * kMiB, true}};
  EXPECT_EQ(stretches_of(fd.get(), 0, 8 * kMiB, 100), all);
  EXPECT_EQ(stretches_of(fd.get(), kMiB, kMiB, 100), (All{{kMiB, false}}));
  EXPECT_EQ(stretches_of(fd.get(), 2 * kMiB, kMiB, 100), (All{{kMiB, true}}));
  EXPECT_EQ(stretches_of(fd.get(), kMiB + 4096, 2 * kMiB, 100), (All{{kMiB - 4096, false}, {kMiB, true}, {4096, false}}));
}

TEST_F(HoleFinderTest, StopsWhereThereWouldBeMore) {
  EXPECT_EQ(stretches_of(fd.get(), 0, 8 * kMiB, 1), (All{{kMiB, true}}));
  EXPECT_EQ(stretches_of(fd.get(), 0, 8 * kMiB, 2), (All{{kMiB, true}, {kMiB, false}}));
}

TEST_F(HoleFinderTest, WhatTheSystemDoesNotSayIsData) {
  EXPECT_EQ(stretches_of(-1, 4096, 8192, 100), (All{{8192, false}}));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(stretches_of(ends[0], 4096, 8192, 100), (All{{8192, false}}));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(HoleFinderTest, AnswersInOrderAndNotFromWithin) {
  HoleFinder finder(*loop);
  std::vector<int> answered;
  for (int i = 0; i < 50; ++i) {
    finder.find(fd.get(), i * 4096, 8 * kMiB - i * 4096, 100, [&answered, i](const All& found) {
      EXPECT_EQ(found.size(), 5u);
      answered.push_back(i);
    });
  }
  EXPECT_TRUE(answered.empty());
  fd = UniqueFd();  // it has its own
  while (answered.size() < 50) loop->run_once(seconds(1));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(answered[static_cast<size_t>(i)], i);
}

TEST_F(HoleFinderTest, ADeviceThatCannotBeAskedIsData) {
  HoleFinder finder(*loop);
  All answer;
  finder.find(-1, 0, 4096, 100, [&answer](const All& found) { answer = found; });
  while (answer.empty()) loop->run_once(seconds(1));
  EXPECT_EQ(answer, (All{{4096, false}}));
}

TEST_F(HoleFinderTest, NothingIsAnsweredOnceItIsGone) {
  auto finder = std::make_unique<HoleFinder>(*loop);
  bool called = false;
  for (int i = 0; i < 20; ++i) finder->find(fd.get(), 0, 8 * kMiB, 100, [&called](const All&) { called = true; });
  finder.reset();
  loop->run_once(milliseconds(1));
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace lockstep
