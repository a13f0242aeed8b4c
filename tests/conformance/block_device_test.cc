// The contract of shell/block_device.h, for both engines and every kind of backing store there is.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/buffer.h"
#include "loop_fixture.h"
#include "shell/loop/device_open.h"

namespace lockstep::conformance {
namespace {

enum class Store { build_directory, tmpfs, loop_device };

std::string name_of(Store store) {
  switch (store) {
    case Store::build_directory:
      return "file";
    case Store::tmpfs:
      return "tmpfs";
    case Store::loop_device:
      return "loop";
  }
  return "";
}

constexpr uint64_t kSize = uint64_t{16} << 20;
constexpr size_t kBlock = 4096;

class BlockDeviceTest : public testing::TestWithParam<std::tuple<IoEngine, Store>> {
 protected:
  void SetUp() override {
    const auto [engine, store] = GetParam();
    std::string why;
    loop_ = make_loop(engine, why);
    if (loop_ == nullptr) GTEST_SKIP() << why;
    scratch_ = std::make_unique<ScratchDirectory>(store == Store::tmpfs ? "/dev/shm" : ".");
    if (scratch_->path().empty()) GTEST_SKIP() << "no scratch directory";
    path_ = scratch_->path() + "/disk";
    Result<OpenedDevice> made = create_file(path_, kSize);
    ASSERT_TRUE(made.ok()) << made.error().where << " " << made.error().os;
    OpenedDevice opened = std::move(made).value();
    if (store == Store::loop_device) {
      close_device(opened);
      loop_device_ = attach_loop_device(path_);
      if (loop_device_.empty()) GTEST_SKIP() << "no loop devices for us";
      path_ = loop_device_;
      Result<OpenedDevice> block = open_device(path_);
      ASSERT_TRUE(block.ok()) << block.error().where << " " << block.error().os;
      opened = std::move(block).value();
    }
    device_ = loop_->adopt_device(std::move(opened));
  }

  void TearDown() override {
    device_.reset();
    loop_.reset();
    if (!loop_device_.empty()) detach_loop_device(loop_device_);
  }

  // Submits and turns the loop until it is done.
  int perform(BlockOp op, uint64_t offset, uint64_t length, std::byte* data = nullptr, bool fua = false) {
    int outcome = -1;
    device_->submit(op, offset, length, data, fua, [&outcome](int error) { outcome = error; });
    EXPECT_EQ(outcome, -1) << "done from inside submit()";
    EXPECT_TRUE(run_until(*loop_, [&outcome] { return outcome != -1; }));
    return outcome;
  }

  BufferRef filled(size_t bytes, unsigned seed) {
    BufferRef buffer = pool_.allocate(bytes);
    for (size_t i = 0; i < bytes; ++i) {
      buffer->data()[i] = static_cast<std::byte>((i * 31 + (i >> 12) * 7 + seed * 131 + 1) & 0xff);
    }
    return buffer;
  }

  void expect_content(uint64_t offset, const BufferRef& expected) {
    BufferRef got = pool_.allocate(expected->size());
    ASSERT_EQ(perform(BlockOp::read, offset, expected->size(), got->data()), 0);
    EXPECT_EQ(std::memcmp(got->data(), expected->data(), expected->size()), 0) << "at " << offset;
  }

  void expect_zero(uint64_t offset, size_t bytes) {
    BufferRef zero = pool_.allocate(bytes);
    std::memset(zero->data(), 0, bytes);
    expect_content(offset, zero);
  }

  void zeroing(BlockOp op, bool fua) {
    const BufferRef all = filled(kSize, 3);
    ASSERT_EQ(perform(BlockOp::write, 0, kSize, all->data()), 0);
    const uint64_t from = 3 * kBlock;
    const size_t length = (size_t{5} << 20) + kBlock;  // several pieces where zeroes are written
    ASSERT_EQ(perform(op, from, length, nullptr, fua), 0);
    expect_zero(from, length);
    BufferRef edge = pool_.allocate(kBlock);
    std::memcpy(edge->data(), all->data() + from - kBlock, kBlock);
    expect_content(from - kBlock, edge);
    std::memcpy(edge->data(), all->data() + from + length, kBlock);
    expect_content(from + length, edge);
  }

  BufferPool pool_{size_t{256} << 20};
  std::unique_ptr<ScratchDirectory> scratch_;
  std::string path_;
  std::string loop_device_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<BlockDevice> device_;
};

TEST_P(BlockDeviceTest, DescribesItself) {
  EXPECT_EQ(device_->info().size_bytes, kSize);
  EXPECT_EQ(device_->info().is_block_device, std::get<1>(GetParam()) == Store::loop_device);
  EXPECT_EQ(device_->info().path, path_);
  EXPECT_EQ(loop_->engine_name(), conformance::name_of(std::get<0>(GetParam())));
  EXPECT_EQ(loop_->fallback_reason(), "");
}

TEST_P(BlockDeviceTest, ReadsWhatWasWritten) {
  const BufferRef data = filled(kBlock, 1);
  ASSERT_EQ(perform(BlockOp::write, 8 * kBlock, kBlock, data->data()), 0);
  expect_content(8 * kBlock, data);
  const BufferRef last = filled(kBlock, 2);
  ASSERT_EQ(perform(BlockOp::write, kSize - kBlock, kBlock, last->data()), 0);
  expect_content(kSize - kBlock, last);
  expect_content(8 * kBlock, data);
}

TEST_P(BlockDeviceTest, LargeRequest) {
  const BufferRef data = filled(kSize, 5);
  ASSERT_EQ(perform(BlockOp::write, 0, kSize, data->data()), 0);
  expect_content(0, data);
}

TEST_P(BlockDeviceTest, WriteThroughAndFlush) {
  const BufferRef data = filled(16 * kBlock, 7);
  ASSERT_EQ(perform(BlockOp::write, 0, data->size(), data->data(), true), 0);
  ASSERT_EQ(perform(BlockOp::flush, 0, 0), 0);
  expect_content(0, data);
}

TEST_P(BlockDeviceTest, TrimReadsAsZero) { zeroing(BlockOp::trim, false); }
TEST_P(BlockDeviceTest, TrimWithFua) { zeroing(BlockOp::trim, true); }
TEST_P(BlockDeviceTest, WriteZeroesReadsAsZero) { zeroing(BlockOp::write_zeroes, false); }
TEST_P(BlockDeviceTest, WriteZeroesWithFua) { zeroing(BlockOp::write_zeroes, true); }

// More than the slots of either engine, submitted at once: each is done once, with its own bytes.
TEST_P(BlockDeviceTest, MoreRequestsThanSlots) {
  constexpr size_t kCount = kSize / kBlock;  // 4096
  const BufferRef data = filled(kSize, 11);
  const BufferRef back = pool_.allocate(kSize);
  std::memset(back->data(), 0, kSize);
  std::vector<int> times(kCount, 0);
  size_t failed = 0;
  for (BlockOp op : {BlockOp::write, BlockOp::read}) {
    std::byte* memory = op == BlockOp::write ? data->data() : back->data();
    for (size_t i = 0; i < kCount; ++i) {
      const size_t at = (i * 2731 % kCount) * kBlock;  // every block once, not in order
      device_->submit(op, at, kBlock, memory + at, false, [&times, &failed, i](int error) {
        ++times[i];
        if (error != 0) ++failed;
      });
    }
    EXPECT_EQ(device_->outstanding(), kCount);
    ASSERT_TRUE(run_until(*loop_, [this] { return device_->outstanding() == 0; }));
  }
  EXPECT_EQ(failed, 0U);
  EXPECT_EQ(std::count(times.begin(), times.end(), 2), static_cast<std::ptrdiff_t>(kCount));
  EXPECT_EQ(std::memcmp(data->data(), back->data(), kSize), 0);
}

// A request from the completion of another, as the daemon does all the time.
TEST_P(BlockDeviceTest, SubmitsFromCompletions) {
  const BufferRef data = filled(kBlock, 13);
  int left = 200;
  std::function<void(int)> next = [&](int error) {
    ASSERT_EQ(error, 0);
    const BlockOp op = left % 50 == 0 ? BlockOp::flush : BlockOp::write;
    if (--left > 0) device_->submit(op, static_cast<uint64_t>(left) * kBlock, kBlock, data->data(), false, next);
  };
  device_->submit(BlockOp::write, 0, kBlock, data->data(), false, next);
  ASSERT_TRUE(run_until(*loop_, [this, &left] { return left == 0 && device_->outstanding() == 0; }));
}

TEST_P(BlockDeviceTest, RefusesWhatIsNotAligned) {
  const BufferRef data = filled(2 * kBlock, 1);
  EXPECT_EQ(perform(BlockOp::read, 1, kBlock, data->data()), EINVAL);
  EXPECT_EQ(perform(BlockOp::write, 0, kBlock - 1, data->data()), EINVAL);
  EXPECT_EQ(perform(BlockOp::trim, 100, kBlock), EINVAL);
  EXPECT_EQ(perform(BlockOp::write_zeroes, 0, 7), EINVAL);
  if (device_->info().direct) {
    EXPECT_EQ(perform(BlockOp::read, 0, kBlock, data->data() + 1), EINVAL);
  }
}

TEST_P(BlockDeviceTest, RefusesWhatLiesBeyondTheEnd) {
  const BufferRef data = filled(2 * kBlock, 1);
  EXPECT_EQ(perform(BlockOp::read, kSize, kBlock, data->data()), EINVAL);
  EXPECT_EQ(perform(BlockOp::write, kSize - kBlock, 2 * kBlock, data->data()), EINVAL);
  EXPECT_EQ(perform(BlockOp::trim, uint64_t{0} - kBlock, kBlock), EINVAL);
  EXPECT_EQ(perform(BlockOp::write, uint64_t{0} - kBlock, 2 * kBlock, data->data()), EINVAL);
  EXPECT_EQ(device_->info().size_bytes, kSize);
}

TEST_P(BlockDeviceTest, NothingIsDoneAtOnce) {
  EXPECT_EQ(perform(BlockOp::read, 0, 0), 0);
  EXPECT_EQ(perform(BlockOp::trim, kBlock, 0), 0);
}

TEST_P(BlockDeviceTest, FileThatShrankOrGrew) {
  if (std::get<1>(GetParam()) == Store::loop_device) GTEST_SKIP() << "a file's business";
  const BufferRef data = filled(2 * kBlock, 1);
  ASSERT_EQ(truncate(path_.c_str(), kSize / 2), 0);
  EXPECT_EQ(perform(BlockOp::read, kSize - kBlock, kBlock, data->data()), EIO);
  EXPECT_EQ(perform(BlockOp::read, kSize / 2 - kBlock, 2 * kBlock, data->data()), EIO);
  ASSERT_EQ(truncate(path_.c_str(), 2 * kSize), 0);
  EXPECT_EQ(perform(BlockOp::read, 2 * kSize - kBlock, kBlock, data->data()), 0);
  EXPECT_EQ(device_->info().size_bytes, 2 * kSize);
}

TEST_P(BlockDeviceTest, DeviceMayGoInItsLastCompletion) {
  const BufferRef data = filled(kBlock, 1);
  bool gone = false;
  device_->submit(BlockOp::write, 0, kBlock, data->data(), false, [&](int) {
    device_.reset();
    gone = true;
  });
  ASSERT_TRUE(run_until(*loop_, [&gone] { return gone; }));
  Result<OpenedDevice> again = open_device(path_);  // the claim went with it
  ASSERT_TRUE(again.ok()) << again.error().where << " " << again.error().os;
  close_device(again.value());
}

// The loop is made by one thread and run by another.
TEST_P(BlockDeviceTest, RunsOnAnotherThreadThanItWasMadeOn) {
  const BufferRef data = filled(kBlock, 1);
  int outcome = -1;
  std::thread other([&] { outcome = perform(BlockOp::write, 0, kBlock, data->data()); });
  other.join();
  EXPECT_EQ(outcome, 0);
  device_.reset();
}

INSTANTIATE_TEST_SUITE_P(Engines, BlockDeviceTest,
                         testing::Combine(testing::Values(IoEngine::io_uring, IoEngine::libaio),
                                          testing::Values(Store::build_directory, Store::tmpfs, Store::loop_device)),
                         [](const auto& test) {
                           return conformance::name_of(std::get<0>(test.param)) + "_" + name_of(std::get<1>(test.param));
                         });

class FullDiskTest : public testing::TestWithParam<IoEngine> {};

TEST_P(FullDiskTest, IsAnErrorOfTheRequest) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  const ScratchDirectory scratch(".");
  if (mount("none", scratch.path().c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "no tmpfs for us";
  const Finally unmount([&scratch] { umount2(scratch.path().c_str(), MNT_DETACH); });
  const std::string path = scratch.path() + "/disk";
  const Result<OpenedDevice> too_large = create_file(path, uint64_t{4} << 20);
  ASSERT_FALSE(too_large.ok());
  EXPECT_EQ(too_large.error().os, ENOSPC);
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "half a file was left";

  ASSERT_TRUE(run_command("truncate -s 4M '" + path + "'"));  // a hole: room only while there is some
  std::string why;
  const std::unique_ptr<EventLoop> loop = make_loop(GetParam(), why);
  if (loop == nullptr) GTEST_SKIP() << why;
  Result<OpenedDevice> opened = open_device(path);
  ASSERT_TRUE(opened.ok());
  const std::unique_ptr<BlockDevice> device = loop->adopt_device(std::move(opened).value());
  BufferPool pool(size_t{8} << 20);
  const BufferRef data = pool.allocate(size_t{4} << 20);
  std::memset(data->data(), 1, data->size());
  int outcome = -1;
  device->submit(BlockOp::write, 0, data->size(), data->data(), false, [&outcome](int error) { outcome = error; });
  ASSERT_TRUE(run_until(*loop, [&outcome] { return outcome != -1; }));
  EXPECT_EQ(outcome, ENOSPC);
}

INSTANTIATE_TEST_SUITE_P(Engines, FullDiskTest, testing::Values(IoEngine::io_uring, IoEngine::libaio),
                         [](const auto& test) { return conformance::name_of(test.param); });

}  // namespace
}  // namespace lockstep::conformance
