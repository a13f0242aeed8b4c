// The rules for requests, and the replies' bytes.
#include "nbd/transmission.h"

#include "harness.h"

namespace lockstep::nbd {
namespace {

constexpr uint64_t kSize = uint64_t{5} << 30;

constexpr ContextSet kBase = ContextSet::of(kBaseAllocationId);

TransmissionRules rules() { return {kSize, 512, kAcceptedPayload, false, true, kBase, kBase}; }

Verdict verdict(Command command, uint64_t offset, uint32_t length, unsigned flags = 0, TransmissionRules with = rules()) {
  const uint64_t payload = command == Command::write ? length : 0;
  return judge({static_cast<uint16_t>(flags), static_cast<uint16_t>(command), 1, offset, length, payload, false, with.contexts},
               with);
}

void expect_refused(const Verdict& is, WireError error) {
  EXPECT_EQ(is.action, Action::answer);
  EXPECT_EQ(is.error, error);
}

TEST(Judge, LetsGoodRequestsThrough) {
  for (Command command : {Command::read, Command::write, Command::trim, Command::write_zeroes, Command::block_status}) {
    EXPECT_EQ(verdict(command, 0, 512).action, Action::execute);
    EXPECT_EQ(verdict(command, kSize - 512, 512).action, Action::execute);
    EXPECT_EQ(verdict(command, 512, 4096, kCmdFua).action, Action::execute);
  }
  EXPECT_EQ(verdict(Command::flush, 0, 0, kCmdFua).action, Action::execute);
  EXPECT_EQ(verdict(Command::flush, 77, 12345).action, Action::execute);
}

TEST(Judge, PastTheEnd) {
  struct Case {
    uint64_t offset;
    uint32_t length;
  };
  for (const Case& c : {Case{kSize, 512}, Case{kSize - 512, 1024}, Case{UINT64_MAX - 511, 512}, Case{UINT64_MAX, 1},
                        Case{UINT64_MAX - 511, 1024}, Case{kSize + 512, 0}}) {
    expect_refused(verdict(Command::read, c.offset, c.length), WireError::einval);
    expect_refused(verdict(Command::trim, c.offset, c.length), WireError::einval);
    expect_refused(verdict(Command::block_status, c.offset, c.length), WireError::einval);
    expect_refused(verdict(Command::write, c.offset, c.length), WireError::enospc);
    expect_refused(verdict(Command::write_zeroes, c.offset, c.length), WireError::enospc);
  }
}

TEST(Judge, Unaligned) {
  for (Command command : {Command::read, Command::write, Command::trim, Command::write_zeroes, Command::block_status}) {
    expect_refused(verdict(command, 1, 512), WireError::einval);
    expect_refused(verdict(command, 512, 511), WireError::einval);
    expect_refused(verdict(command, 256, 256), WireError::einval);
  }
}

TEST(Judge, LengthsAboveTwoGigabytes) {
  for (uint32_t length : {0x80000000u, 0x80000000u - 512, 0xfffffe00u}) {
    for (Command command : {Command::trim, Command::write_zeroes, Command::block_status}) {
      EXPECT_EQ(verdict(command, 0, length).action, Action::execute) << length;
      EXPECT_EQ(verdict(command, 1 << 30, length).action, Action::execute) << length;
    }
    EXPECT_EQ(verdict(Command::trim, uint64_t{4} << 30, length).action, Action::answer);
  }
  for (uint32_t length : {0x80000000u, 0xfffffe00u, 0xffffffffu, kAcceptedPayload + 1}) {
    expect_refused(verdict(Command::read, 0, length), WireError::einval);
    expect_refused(verdict(Command::read, 0, length, kCmdDf), WireError::eoverflow);
    EXPECT_EQ(verdict(Command::write, 0, length).action, Action::violation);
    EXPECT_EQ(verdict(Command::write, kSize, length, 0xffff).action, Action::violation);
  }
  expect_refused(verdict(Command::trim, 0, 0xffffffff), WireError::einval);
  expect_refused(verdict(Command::block_status, 0, 0xffffffff), WireError::einval);
}

TEST(Judge, Flags) {
  TransmissionRules fast = rules();
  fast.fast_zeroes = true;
  for (unsigned flag = 1; flag <= 0x8000; flag <<= 1) {
    const auto allowed = [&](Command command) { return verdict(command, 0, 512, flag, fast).action == Action::execute; };
    EXPECT_EQ(allowed(Command::read), flag == kCmdFua || flag == kCmdDf) << flag;
    EXPECT_EQ(allowed(Command::write), flag == kCmdFua) << flag;
    EXPECT_EQ(allowed(Command::trim), flag == kCmdFua) << flag;
    EXPECT_EQ(allowed(Command::flush), flag == kCmdFua) << flag;
    EXPECT_EQ(allowed(Command::write_zeroes), flag == kCmdFua || flag == kCmdNoHole || flag == kCmdFastZero) << flag;
    EXPECT_EQ(allowed(Command::block_status), flag == kCmdFua || flag == kCmdReqOne) << flag;
  }
  TransmissionRules simple = fast;
  simple.structured_replies = false;
  expect_refused(verdict(Command::read, 0, 512, kCmdDf, simple), WireError::einval);
}

TEST(Judge, ReadOnlyExport) {
  TransmissionRules read_only = rules();
  read_only.read_only = true;
  for (Command command : {Command::write, Command::trim, Command::write_zeroes}) {
    expect_refused(verdict(command, 0, 512, 0, read_only), WireError::eperm);
  }
  EXPECT_EQ(verdict(Command::read, 0, 512, 0, read_only).action, Action::execute);
  EXPECT_EQ(verdict(Command::flush, 0, 0, 0, read_only).action, Action::execute);
}

TEST(Judge, NothingToDo) {
  for (Command command : {Command::read, Command::write, Command::trim, Command::write_zeroes}) {
    expect_refused(verdict(command, 0, 0), WireError::none);
    expect_refused(verdict(command, kSize, 0), WireError::none);
  }
  expect_refused(verdict(Command::block_status, 0, 0), WireError::einval);
}

// Quickly, and only where nothing else is wrong.
TEST(Judge, AZeroThatWouldNotBeFastIsNotDone) {
  expect_refused(verdict(Command::write_zeroes, 0, 512, kCmdFastZero), WireError::enotsup);
  expect_refused(verdict(Command::write_zeroes, kSize, 512, kCmdFastZero), WireError::enospc);
  TransmissionRules fast = rules();
  fast.fast_zeroes = true;
  EXPECT_EQ(verdict(Command::write_zeroes, 0, 512, kCmdFastZero, fast).action, Action::execute);
  expect_refused(verdict(Command::write_zeroes, 0, 512, kCmdFastZero | kCmdNoHole, fast), WireError::enotsup);
  EXPECT_EQ(verdict(Command::write_zeroes, 0, 512, kCmdNoHole).action, Action::execute);
}

TEST(Judge, NothingIsCachedHere) {
  expect_refused(verdict(Command::cache, 0, 512), WireError::none);
  expect_refused(verdict(Command::cache, kSize, 512), WireError::einval);
  expect_refused(verdict(Command::cache, 0, 512, kCmdNoHole), WireError::einval);
}

TEST(Judge, CommandsThatAreNotServed) {
  for (unsigned command = 8; command <= 0xffff; ++command) {
    expect_refused(verdict(static_cast<Command>(command), 0, 512), WireError::einval);
  }
  EXPECT_EQ(verdict(Command::disc, 5, 5, 0xffff).action, Action::disconnect);
}

TEST(Judge, BlockStatusNeedsItsContext) {
  TransmissionRules without = rules();
  without.contexts = {};
  expect_refused(verdict(Command::block_status, 0, 512, 0, without), WireError::einval);
  TransmissionRules plain = rules();
  plain.owners = {};
  EXPECT_EQ(verdict(Command::block_status, 0, 512, 0, plain).action, Action::report_all_allocated);
}

// CVE-2025-47712: near 2^32 a length that was rounded up to such blocks would not fit in 32 bits.
TEST(Judge, LargerBlocks) {
  for (uint32_t block : {4096u, 65536u}) {
    TransmissionRules large = rules();
    large.minimum_block = block;
    for (Command command : {Command::read, Command::write, Command::trim, Command::write_zeroes, Command::block_status}) {
      EXPECT_EQ(verdict(command, block, block, 0, large).action, Action::execute);
      expect_refused(verdict(command, 512, block, 0, large), WireError::einval);
      expect_refused(verdict(command, block, block - 512, 0, large), WireError::einval);
      expect_refused(verdict(command, block / 2, block / 2, 0, large), WireError::einval);
    }
    for (Command command : {Command::trim, Command::write_zeroes, Command::block_status}) {
      EXPECT_EQ(verdict(command, block, 0u - block, 0, large).action, Action::execute);
      expect_refused(verdict(command, block, 0xfffffe00, 0, large), WireError::einval);
      expect_refused(verdict(command, 512, 0u - block, 0, large), WireError::einval);
    }
  }
}

TEST(Reply, ErrorNumbers) {
  EXPECT_EQ(to_wire_error(0), WireError::none);
  EXPECT_EQ(to_wire_error(EROFS), WireError::eperm);
  EXPECT_EQ(to_wire_error(EDQUOT), WireError::enospc);
  EXPECT_EQ(to_wire_error(EOPNOTSUPP), WireError::einval);
  EXPECT_EQ(to_wire_error(ESHUTDOWN), WireError::eshutdown);
  for (int unknown : {EIO, ENODEV, ETIMEDOUT, ENOSYS, -1, 100000}) EXPECT_EQ(to_wire_error(unknown), WireError::eio);
}

std::vector<uint32_t> descriptors(uint32_t length, bool one, std::vector<Extent> extents) {
  const Bytes message = status_reply({9, 0, false}, length, one, {{{kBaseAllocationId, std::move(extents)}}});
  std::vector<uint32_t> all;
  if (message.empty()) return all;
  Reader in(message);
  const Answer answer = read_answer(in);
  EXPECT_EQ(answer.chunk, Chunk::block_status);
  EXPECT_EQ(answer.cookie, 9u);
  Reader payload(answer.data);
  EXPECT_EQ(payload.be<uint32_t>(), kBaseAllocationId);
  while (payload.remaining() > 0) all.push_back(payload.be<uint32_t>());
  return all;
}

TEST(Reply, ExtentsAreJoinedAndCut) {
  using List = std::vector<uint32_t>;
  EXPECT_EQ(descriptors(4096, false, {{1024, 0}, {0, 1}, {1024, 0}, {512, 3}, {99999, 0}}), (List{2048, 0, 512, 3, 1536, 0}));
  EXPECT_EQ(descriptors(4096, true, {{1024, 3}, {1024, 3}, {4096, 0}}), (List{2048, 3}));
  EXPECT_EQ(descriptors(4096, false, {{UINT64_MAX, 0}, {UINT64_MAX, 1}}), (List{4096, 0}));
  EXPECT_EQ(descriptors(0xfffffe00, false, {{uint64_t{1} << 31, 0}, {uint64_t{1} << 31, 0}}), (List{0xfffffe00, 0}));
  EXPECT_EQ(descriptors(4096, false, {}), List{});
  EXPECT_EQ(descriptors(4096, false, {{0, 0}, {0, 3}}), List{});
  std::vector<Extent> many;
  for (uint32_t i = 0; i < 3000; ++i) many.push_back({512, i % 2});
  EXPECT_EQ(descriptors(3000 * 512, false, many).size(), 2 * kMaxExtents);
}

}  // namespace
}  // namespace lockstep::nbd
