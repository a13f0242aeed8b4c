#include "core/meeting.h"

#include <gtest/gtest.h>

#include "core/durable.h"
#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

constexpr uint64_t kSize = 64 * 1024 * 1024;

// The handshake table once more, as the documentation tells it: row by row, the first that fits.
Judgement expected(const PeerHello& mine, const PeerHello& theirs) {
  if (mine.node == theirs.node) return {Verdict::refuse, Reason::same_node_id};
  if (mine.protocol != theirs.protocol) return {Verdict::refuse, Reason::different_protocol};
  const bool both = mine.tenure && theirs.tenure;
  if (both && mine.tenure->history != theirs.tenure->history) return {Verdict::refuse, Reason::different_history};
  const bool disks = !mine.disk.is_nil() && !theirs.disk.is_nil();
  if (disks && !mine.tenure && !theirs.tenure && mine.size_bytes != theirs.size_bytes)
    return {Verdict::refuse, Reason::different_size};
  if (disks && (mine.tenure || theirs.tenure)) {
    const Tenure& tenure = mine.tenure ? *mine.tenure : *theirs.tenure;
    if (std::min(mine.size_bytes, theirs.size_bytes) < tenure.volumes[0].size_bytes)
      return {Verdict::refuse, Reason::size_too_small};
  }
  const int64_t mine_is_later = (mine.tenure ? static_cast<int64_t>(mine.tenure->number) : 0) -
                                (theirs.tenure ? static_cast<int64_t>(theirs.tenure->number) : 0);
  if (mine_is_later > 0) return {Verdict::they_adopt_mine, Reason::none};
  if (mine_is_later < 0) return {Verdict::adopt_theirs, Reason::none};
  return {Verdict::connect, Reason::none};
}

std::vector<std::optional<Tenure>> tenures() {
  Tenure first = tenure_of({kA, kB}, {kA, kB, kW});
  Tenure later = first;
  later.number = 2;
  Tenure other = first;
  other.history = uuid(101);
  return {std::nullopt, first, later, other};
}

std::vector<PeerHello> hellos() {
  std::vector<PeerHello> all;
  for (Seat node : {kA, kB}) {
    for (uint8_t protocol : {'C', 'A'}) {
      for (const auto& tenure : tenures()) {
        for (const Uuid& disk : {Uuid{}, disk_of(node)}) {
          for (const uint64_t size : {kSize - kBlockBytes, kSize, kSize + kBlockBytes}) {
            PeerHello hello;
            hello.node = node;
            hello.protocol = protocol;
            hello.tenure = tenure;
            hello.disk = disk;
            hello.size_bytes = size;
            all.push_back(hello);
          }
        }
      }
    }
  }
  return all;
}

TEST(Meeting, JudgesEveryPairOfHellosByTheTable) {
  for (const PeerHello& mine : hellos()) {
    for (const PeerHello& theirs : hellos()) {
      const Judgement judged = judge(mine, theirs);
      const Judgement wanted = expected(mine, theirs);
      ASSERT_EQ(judged.verdict, wanted.verdict);
      ASSERT_EQ(judged.reason, wanted.reason);
    }
  }
}

TEST(Meeting, BothSidesComeToTheSameVerdict) {
  for (const PeerHello& mine : hellos()) {
    for (const PeerHello& theirs : hellos()) {
      const Judgement here = judge(mine, theirs);
      const Judgement there = judge(theirs, mine);
      ASSERT_EQ(here.reason, there.reason);
      switch (here.verdict) {
        case Verdict::connect:
        case Verdict::refuse:
          ASSERT_EQ(there.verdict, here.verdict);
          break;
        case Verdict::adopt_theirs:
          ASSERT_EQ(there.verdict, Verdict::they_adopt_mine);
          break;
        case Verdict::they_adopt_mine:
          ASSERT_EQ(there.verdict, Verdict::adopt_theirs);
          break;
      }
    }
  }
}

// No codec lets one in.
TEST(Meeting, ATenureWithoutVolumesIsThatOfOtherOnes) {
  PeerHello mine;
  mine.node = kA;
  mine.disk = disk_of(kA);
  mine.tenure = tenure_of({kA, kB}, {kA, kB});
  mine.tenure->volumes.clear();
  PeerHello theirs = mine;
  theirs.node = kB;
  EXPECT_EQ(judge(mine, theirs).reason, Reason::different_volumes);
}

}  // namespace
}  // namespace lockstep
