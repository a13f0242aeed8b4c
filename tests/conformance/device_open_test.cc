// Opening and claiming: shell/loop/device_open.h. The claim is what keeps a second process from data that a
// dead one is still writing, so the tests use real processes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "base/buffer.h"
#include "loop_fixture.h"
#include "shell/loop/clock.h"
#include "shell/loop/device_open.h"
#include "shell/loop/unique_fd.h"

namespace lockstep::conformance {
namespace {

constexpr uint64_t kSize = uint64_t{1} << 20;

class DeviceOpenTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_FALSE(scratch_.path().empty()); }
  std::string path(const std::string& name) const { return scratch_.path() + "/" + name; }
  static int error_of(const Result<OpenedDevice>& result) { return result.ok() ? 0 : result.error().os; }

  ScratchDirectory scratch_{"."};
};

TEST_F(DeviceOpenTest, CreatesWithItsRoomReserved) {
  Result<OpenedDevice> made = create_file(path("meta"), kSize);
  ASSERT_TRUE(made.ok());
  struct stat about {};
  ASSERT_EQ(fstat(made.value().fd, &about), 0);
  EXPECT_EQ(static_cast<uint64_t>(about.st_size), kSize);
  EXPECT_GE(static_cast<uint64_t>(about.st_blocks) * 512, kSize);
  EXPECT_EQ(made.value().size_bytes, kSize);
  EXPECT_FALSE(made.value().is_block_device);
  EXPECT_NE(fcntl(made.value().fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(error_of(create_file(path("meta"), kSize)), EEXIST);
  close_device(made.value());
  EXPECT_EQ(made.value().fd, -1);
  EXPECT_EQ(error_of(create_file(path("meta"), kSize)), EEXIST);
}

TEST_F(DeviceOpenTest, DirectAsFarAsTheFileSystemGivesIt) {
  Result<OpenedDevice> made = create_file(path("disk"), kSize);
  ASSERT_TRUE(made.ok());
  const bool flag = (fcntl(made.value().fd, F_GETFL) & O_DIRECT) != 0;
  EXPECT_EQ(made.value().direct, flag);
  EXPECT_TRUE(made.value().block_bytes == 512 || made.value().block_bytes == 4096);
  close_device(made.value());
  OpenOptions buffered;
  buffered.direct = false;
  Result<OpenedDevice> again = open_device(path("disk"), buffered);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again.value().direct);
  EXPECT_EQ(fcntl(again.value().fd, F_GETFL) & O_DIRECT, 0);
  EXPECT_EQ(again.value().block_bytes, 512U);
  close_device(again.value());
  // No direct I/O on procfs-like files; /proc/version is one that everybody has, and it has no size.
  OpenOptions look;
  look.read_only = true;
  look.claim = false;
  Result<OpenedDevice> odd = open_device("/proc/version", look);
  ASSERT_TRUE(odd.ok());
  EXPECT_FALSE(odd.value().direct);
  close_device(odd.value());
}

TEST_F(DeviceOpenTest, SaysWhatIsWrong) {
  EXPECT_EQ(error_of(open_device(path("missing"))), ENOENT);
  EXPECT_EQ(error_of(open_device(scratch_.path())), ENOTBLK);
  EXPECT_EQ(error_of(open_device("/dev/null")), ENOTBLK);
  EXPECT_EQ(error_of(create_file(path("no/such/directory"), kSize)), ENOENT);
}

TEST_F(DeviceOpenTest, ASecondClaimIsRefusedUntilTheFirstIsGivenUp) {
  Result<OpenedDevice> first = create_file(path("disk"), kSize);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(error_of(open_device(path("disk"))), EBUSY);
  OpenOptions look;
  look.claim = false;
  look.read_only = true;
  Result<OpenedDevice> looked = open_device(path("disk"), look);
  ASSERT_TRUE(looked.ok());
  close_device(looked.value());
  EXPECT_EQ(error_of(open_device(path("disk"))), EBUSY) << "looking gave up the claim";
  close_device(first.value());
  Result<OpenedDevice> second = open_device(path("disk"));
  ASSERT_TRUE(second.ok());
  close_device(second.value());
}

TEST_F(DeviceOpenTest, BlockDevicesAreClaimedToo) {
  ASSERT_TRUE(run_command("truncate -s 4M '" + path("image") + "'"));
  const std::string device = attach_loop_device(path("image"));
  if (device.empty()) GTEST_SKIP() << "no loop devices for us";
  const Finally detach([&device] { detach_loop_device(device); });
  Result<OpenedDevice> first = open_device(device);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first.value().is_block_device);
  EXPECT_EQ(first.value().size_bytes, uint64_t{4} << 20);
  EXPECT_EQ(error_of(open_device(device)), EBUSY);
  close_device(first.value());
  Result<OpenedDevice> second = open_device(device);
  ASSERT_TRUE(second.ok());
  close_device(second.value());
}

// A process that has a claim and, once told through `go`, a write in flight.
void hold_and_write(const std::string& path, int ready, int go) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create(IoEngine::io_uring);
  Result<OpenedDevice> opened = open_device(path);
  char byte = loop.ok() && opened.ok() ? 'k' : '!';
  if (write(ready, &byte, 1) != 1 || byte == '!') _exit(1);
  if (read(go, &byte, 1) != 1) _exit(1);
  const std::unique_ptr<BlockDevice> device = loop.value()->adopt_device(std::move(opened).value());
  BufferPool pool(size_t{1} << 20);
  const BufferRef data = pool.allocate(4096);
  device->submit(BlockOp::write, 0, 4096, data->data(), false, [](int) { _exit(2); });  // not while it is frozen
  loop.value()->run_once(milliseconds(50));
  byte = 's';
  if (write(ready, &byte, 1) != 1) _exit(1);
  loop.value()->run();
  _exit(3);
}

struct Child {
  pid_t pid = -1;
  UniqueFd from;
  UniqueFd to;
  char next_word() const {
    char byte = 0;
    return read(from.get(), &byte, 1) == 1 ? byte : '\0';
  }
};

Child start_child(const std::string& path) {
  std::array<int, 2> from{-1, -1};
  std::array<int, 2> to{-1, -1};
  EXPECT_EQ(pipe2(from.data(), O_CLOEXEC) + pipe2(to.data(), O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    close(to[1]);
    hold_and_write(path, from[1], to[0]);
  }
  close(from[1]);
  close(to[0]);
  return {pid, UniqueFd(from[0]), UniqueFd(to[1])};
}

// Whether the claim can be had within `longest`.
bool claimed_within(const std::string& path, Duration longest) {
  const Instant end = boot_time_now() + longest;
  while (true) {
    Result<OpenedDevice> opened = open_device(path);
    if (opened.ok()) {
      close_device(opened.value());
      return true;
    }
    if (opened.error().os != EBUSY || boot_time_now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST_F(DeviceOpenTest, TheClaimOfAKilledProcessEndsWithIt) {
  std::string why;
  if (make_loop(IoEngine::io_uring, why) == nullptr) GTEST_SKIP() << why;
  Result<OpenedDevice> made = create_file(path("disk"), kSize);
  ASSERT_TRUE(made.ok());
  close_device(made.value());
  const Child child = start_child(path("disk"));
  ASSERT_EQ(child.next_word(), 'k');
  EXPECT_EQ(error_of(open_device(path("disk"))), EBUSY);
  ASSERT_EQ(kill(child.pid, SIGKILL), 0);
  ASSERT_EQ(waitpid(child.pid, nullptr, 0), child.pid);
  EXPECT_TRUE(claimed_within(path("disk"), seconds(10)));
}

// The reason for claiming by descriptor. A frozen file system holds the write of a process in flight for as
// long as we like; the process is killed, and still nobody else gets the claim before that write is over.
TEST_F(DeviceOpenTest, TheClaimLastsUntilTheLastWriteOfAKilledProcessIsOver) {
  std::string why;
  if (make_loop(IoEngine::io_uring, why) == nullptr) GTEST_SKIP() << why;
  ASSERT_TRUE(run_command("truncate -s 16M '" + path("image") + "'"));
  const std::string device = attach_loop_device(path("image"));
  if (device.empty()) GTEST_SKIP() << "no loop devices for us";
  const Finally detach([&device] { detach_loop_device(device); });
  if (!run_command("mkfs.ext4 -q '" + device + "'")) GTEST_SKIP() << "no mkfs.ext4";
  const std::string mounted = path("mounted");
  ASSERT_EQ(mkdir(mounted.c_str(), 0700), 0);
  if (mount(device.c_str(), mounted.c_str(), "ext4", 0, "") != 0) GTEST_SKIP() << "may not mount";
  const Finally unmount([&mounted] { umount2(mounted.c_str(), MNT_DETACH); });
  const std::string file = mounted + "/disk";
  Result<OpenedDevice> made = create_file(file, kSize);
  ASSERT_TRUE(made.ok());
  close_device(made.value());

  const Child child = start_child(file);
  ASSERT_EQ(child.next_word(), 'k');
  const UniqueFd directory(open(mounted.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(ioctl(directory.get(), FIFREEZE, 0), 0);
  bool frozen = true;
  const Finally thaw_anyway([&] {
    if (frozen) ioctl(directory.get(), FITHAW, 0);
  });
  ASSERT_EQ(write(child.to.get(), "g", 1), 1);
  ASSERT_EQ(child.next_word(), 's');  // the write is with the kernel and cannot get on
  ASSERT_EQ(kill(child.pid, SIGKILL), 0);
  EXPECT_FALSE(claimed_within(file, milliseconds(300))) << "claimed while a dead process was still writing";
  ASSERT_EQ(ioctl(directory.get(), FITHAW, 0), 0);
  frozen = false;
  ASSERT_EQ(waitpid(child.pid, nullptr, 0), child.pid);
  EXPECT_TRUE(claimed_within(file, seconds(10)));
}

}  // namespace
}  // namespace lockstep::conformance
