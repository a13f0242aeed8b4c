// How blocks travel in a resync: zeroes as such, digests before data, and not at all while an operator has paused it.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class Copying : public testing::Test {
 protected:
  void lose_b(Lab& lab, const Range& written = {0, 8192}) {
    lab.create();
    lab.promote(kA);
    lab.advance(seconds(5));
    lab.cut(kA, kB);
    lab.write(kA, written);
    lab.advance(seconds(5));
    ASSERT_EQ(lab.node(kA).tenure().members, SeatSet{kA});
    lab.delivered.clear();
  }
  template <class T>
  static std::vector<T> sent(const Lab& lab) {
    std::vector<T> all;
    for (const Lab::Mail& letter : lab.delivered) {
      if (const T* one = std::get_if<T>(&letter.send.message)) all.push_back(*one);
    }
    return all;
  }
  static bool joined(Lab& lab) { return lab.node(kA).tenure().members == SeatSet{kA, kB}; }
};

// Extents that a crash has put in doubt differ hardly anywhere, and the comparison teaches their digests again.
class CopyingWithDigests : public Copying {
 protected:
  CopyingWithDigests() : lab_(options()) { lose_b(lab_); }
  static LabOptions options() {
    LabOptions made;
    made.configure = [](CoreConfig& config) { config.digests_at_rest = true; };
    return made;
  }
  uint64_t compared() {
    uint64_t blocks = 0;
    for (const CompareRequest& one : sent<CompareRequest>(lab_)) blocks += one.range.length / kBlockBytes;
    return blocks;
  }
  uint64_t copied() {
    uint64_t blocks = 0;
    for (const ResyncWrite& one : sent<ResyncWrite>(lab_)) blocks += one.range.length / kBlockBytes;
    return blocks;
  }
  // B was writing there when it crashed.
  void b_comes_back_hot(std::initializer_list<uint64_t> extents) {
    lab_.kill(kB);
    LabNode& b = lab_.node(kB);
    b.intent = BitVector(kLabBytes / kExtentBytes);
    for (uint64_t extent : extents) b.intent.set(extent);
    b.record.adopted->primary.reset();
    lab_.start(kB);
    lab_.delivered.clear();
    lab_.connect(kA, kB);
    lab_.advance(seconds(3));
  }
  Lab lab_;
};

TEST_F(CopyingWithDigests, BlocksThatAreKnownToDifferAreCopied) {
  lab_.connect(kA, kB);
  lab_.advance(seconds(1));
  EXPECT_TRUE(joined(lab_));
  EXPECT_EQ(compared(), 0u);
  EXPECT_EQ(copied(), 2u);
}

TEST_F(CopyingWithDigests, ExtentsInDoubtAreCompared) {
  b_comes_back_hot({1, 2});
  EXPECT_TRUE(joined(lab_));
  EXPECT_EQ(compared(), 2 * kBlocksPerExtent);
  EXPECT_EQ(copied(), 2u);
  for (const ResyncWrite& write : sent<ResyncWrite>(lab_)) EXPECT_EQ(write.ahead, 0u) << "they are hardly written";
}

TEST_F(CopyingWithDigests, ANewDiskIsCopied) {
  lab_.kill(kB);
  LabNode& b = lab_.node(kB);
  b.record.disk = uuid(900);
  b.record.adopted.reset();
  b.record.peers = {};
  b.record.acceptor = {};
  b.record.acceptor.acceptor = uuid(901);
  lab_.start(kB);
  lab_.delivered.clear();
  lab_.connect(kA, kB);
  lab_.advance(seconds(10));
  EXPECT_TRUE(joined(lab_));
  EXPECT_EQ(compared(), 0u);
  EXPECT_EQ(copied(), kLabBytes / kBlockBytes);
}

TEST_F(Copying, ZeroesAreLeftOutAndWrittenAsSuch) {
  Lab lab;
  lose_b(lab, {0, 4 * kBlockBytes});
  lab.node(kA).disk_finds = [](const DiskIo& io) { return io.look == Look::zeroes ? BlockMask{0b0110} : 0; };
  std::vector<DiskIo> writes;
  lab.node(kB).disk_status = [&writes](const DiskIo& io) {
    if (is_change(io.kind)) writes.push_back(io);
    return IoStatus::ok;
  };
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  ASSERT_TRUE(joined(lab));
  ASSERT_EQ(sent<ResyncWrite>(lab).size(), 1u);
  EXPECT_EQ(sent<ResyncWrite>(lab)[0].zeroes, 0b0110u);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].zeroes, 0b0110u);
  EXPECT_NE(writes[0].payload.value, 0u);
}

TEST_F(Copying, WhatIsAllZeroHasNoPayload) {
  Lab lab;
  lose_b(lab);
  lab.node(kA).disk_finds = [](const DiskIo& io) { return io.look == Look::zeroes ? BlockMask{0b11} : 0; };
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  ASSERT_TRUE(joined(lab));
  for (const Lab::Mail& letter : lab.delivered) {
    if (std::holds_alternative<ResyncWrite>(letter.send.message)) {
      EXPECT_EQ(letter.send.payload.value, 0u);
    }
  }
}

TEST_F(Copying, WithDigestsOnlyWhatDiffersIsSent) {
  Lab lab({.configure = [](CoreConfig& config) { config.resync_digests = true; }});
  lose_b(lab, {0, 64 * kBlockBytes});
  lab.node(kB).disk_finds = [](const DiskIo& io) { return io.look == Look::compare ? BlockMask{0b1011} << 8 : 0; };
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  ASSERT_TRUE(joined(lab));
  EXPECT_EQ(sent<CompareRequest>(lab).size(), 1u);
  const auto writes = sent<ResyncWrite>(lab);
  ASSERT_EQ(writes.size(), 2u);
  EXPECT_EQ(writes[0].range, (Range{8 * kBlockBytes, 2 * kBlockBytes}));
  EXPECT_EQ(writes[1].range, (Range{11 * kBlockBytes, kBlockBytes}));
  EXPECT_EQ(lab.show(kA).dirty_blocks[kB.value], 0u);
}

// What was compared may only be in its cache yet.
TEST_F(Copying, WhatIsEqualIsFlushedBeforeItsBitsGo) {
  Lab lab({.configure = [](CoreConfig& config) { config.resync_digests = true; }});
  lose_b(lab);
  lab.node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  ASSERT_EQ(sent<CompareReply>(lab).size(), 1u);
  EXPECT_GE(lab.show(kA).dirty_blocks[kB.value], 2u);
  EXPECT_FALSE(joined(lab));
}

TEST_F(Copying, AComparisonHoldsItsRangeAgainstWrites) {
  Lab lab({.configure = [](CoreConfig& config) { config.resync_digests = true; }});
  lose_b(lab);
  lab.node(kB).hold_disk = [](const DiskIo& io) { return io.look == Look::compare; };
  lab.connect(kA, kB);
  lab.advance(milliseconds(200));
  const ClientIo inside = lab.write(kA, {4096, 4096});
  const ClientIo beside = lab.write(kA, {1 << 20, 4096});
  EXPECT_FALSE(lab.answer(kA, inside));
  EXPECT_EQ(lab.answer(kA, beside), IoStatus::ok);
  lab.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab.run();
  EXPECT_EQ(lab.answer(kA, inside), IoStatus::ok);
}

TEST_F(Copying, WhatTheTargetCannotReadIsCopied) {
  Lab lab({.configure = [](CoreConfig& config) { config.resync_digests = true; }});
  lose_b(lab);
  lab.node(kB).disk_status = [](const DiskIo& io) { return io.look == Look::compare ? IoStatus::io_error : IoStatus::ok; };
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  EXPECT_TRUE(joined(lab));
  EXPECT_EQ(sent<ResyncWrite>(lab).size(), 1u);
}

// The copy stays what it was: Outdated, and of use where it is all that is left.
TEST_F(Copying, DoesNotBeginWhilePausedOnEitherSide) {
  for (Seat by : {kA, kB}) {
    Lab lab;
    lose_b(lab);
    EXPECT_TRUE(lab.ok(by, lab.admin(by, AdminOp::pause_sync)));
    lab.connect(kA, kB);
    lab.advance(seconds(10));
    EXPECT_TRUE(sent<ResyncBegin>(lab).empty());
    EXPECT_EQ(lab.show(kA).peers[0].replication, ReplicationState::paused_sync_source);
    EXPECT_EQ(lab.show(kA).peers[0].disk, DiskState::outdated);
    EXPECT_EQ(lab.show(kB).peers[0].replication, ReplicationState::paused_sync_target);
    EXPECT_EQ(lab.show(kB).disk, DiskState::outdated);
    EXPECT_EQ(lab.show(kA).peers[0].paused_here, by == kA);
    EXPECT_EQ(lab.show(kA).peers[0].paused_there, by == kB);
    EXPECT_TRUE(lab.ok(by, lab.admin(by, AdminOp::resume_sync)));
    lab.advance(seconds(1));
    EXPECT_TRUE(joined(lab));
    EXPECT_EQ(lab.show(kA).peers[0].replication, ReplicationState::established);
  }
}

// The word of its operator comes after the begin that it should have prevented.
TEST_F(Copying, ATargetThatIsPausedDeclines) {
  Lab lab;
  lose_b(lab);
  lab.admin(kB, AdminOp::pause_sync);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<ResyncPaused>(letter.send.message); };
  lab.connect(kA, kB);
  lab.advance(seconds(3));
  EXPECT_EQ(lab.show(kB).disk, DiskState::outdated) << "not a mixture";
  EXPECT_FALSE(lab.node(kB).record.inconsistent);
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.admin(kB, AdminOp::resume_sync);
  lab.advance(milliseconds(500));
  EXPECT_TRUE(joined(lab)) << "at once, not when it would have asked again";
}

TEST_F(Copying, AResyncWaitsUntilTheCopyIsSaved) {
  Lab lab({.configure = [](CoreConfig& config) { config.hold_resync = true; }});
  lose_b(lab);
  lab.connect(kA, kB);
  lab.advance(milliseconds(10500));
  EXPECT_TRUE(sent<ResyncBegin>(lab).empty());
  EXPECT_EQ(lab.show(kB).peers[0].replication, ReplicationState::paused_sync_target);
  EXPECT_TRUE(lab.show(kB).peers[0].held_here);
  EXPECT_FALSE(lab.show(kB).peers[0].paused_here);
  const auto wanted = [&lab] {
    return std::count_if(lab.node(kB).notes.begin(), lab.node(kB).notes.end(),
                         [](const Note& note) { return note.notice == Notice::resync_wanted; });
  };
  EXPECT_EQ(wanted(), 2) << "and asks again after ten seconds";
  lab.admin(kB, AdminOp::allow_resync, kA, {}, 7);  // of another time
  lab.advance(seconds(1));
  EXPECT_FALSE(joined(lab));
  EXPECT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::allow_resync, kA, {}, 1)));
  lab.advance(seconds(1));
  EXPECT_TRUE(joined(lab));
  EXPECT_TRUE(lab.node(kB).noted(Notice::joined));
  lab.cut(kA, kB);
  lab.write(kA, {0, 8192});
  lab.advance(seconds(5));
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  EXPECT_EQ(wanted(), 3) << "and before the next one";
  EXPECT_FALSE(joined(lab));
  lab.admin(kB, AdminOp::resume_sync);
  lab.advance(seconds(1));
  EXPECT_TRUE(joined(lab)) << "an operator goes on without";
}

// What a source sends behind a begin that is declined.
TEST_F(Copying, ACopyThatIsOutOfTheSetStaysAsItIsUntilAResyncBegins) {
  Lab lab;
  lose_b(lab);
  lab.admin(kB, AdminOp::pause_sync);
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  int writes = 0;
  lab.node(kB).disk_status = [&writes](const DiskIo& io) {
    writes += is_change(io.kind) ? 1 : 0;
    return IoStatus::ok;
  };
  const Tenure& tenure = lab.node(kA).tenure();
  lab.inject(kA, kB, WriteRequest{{tenure.history, tenure.number}, {77}, 1000, OpKind::write_zeroes, {0, 4096}, false});
  lab.advance(seconds(1));
  EXPECT_EQ(writes, 0);
  lab.admin(kB, AdminOp::resume_sync);
  lab.advance(seconds(1));
  EXPECT_TRUE(joined(lab));
  EXPECT_GT(writes, 0);
}

TEST_F(Copying, StopsWhenPausedAndKeepsWhatItHas) {
  Lab lab({.configure = [](CoreConfig& config) {
    config.resync_chunk_bytes = 64 * kBlockBytes;
    config.resync_window = 1;
  }});
  lose_b(lab, {0, 512 * kBlockBytes});
  lab.node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  lab.connect(kA, kB);
  lab.advance(milliseconds(100));
  lab.admin(kA, AdminOp::pause_sync);
  lab.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab.advance(seconds(10));
  EXPECT_EQ(sent<ResyncWrite>(lab).size(), 1u);
  EXPECT_EQ(lab.show(kA).dirty_blocks[kB.value], 512u - 64u) << "what was copied is flushed and done with";
  EXPECT_EQ(lab.show(kA).peers[0].replication, ReplicationState::paused_sync_source);
  lab.admin(kA, AdminOp::resume_sync);
  lab.advance(seconds(1));
  EXPECT_TRUE(joined(lab));
  EXPECT_EQ(sent<ResyncWrite>(lab).size(), 8u);
}

// A resync would wait for two flushes of the target in every extent otherwise.
TEST_F(Copying, TheTargetMarksAheadWhatItIsToldOf) {
  Lab lab({.configure = [](CoreConfig& config) { config.resync_window = 1; }});
  lose_b(lab, {3 * kExtentBytes, 4096});
  for (uint64_t extent : {4, 9, 15}) lab.write(kA, {extent * kExtentBytes, 4096});
  const auto intents_written = [&lab] { return lab.node(kB).intent_sequences[0]; };
  const uint64_t before = intents_written();
  lab.node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  lab.connect(kA, kB);
  lab.advance(milliseconds(100));
  ASSERT_EQ(sent<ResyncWrite>(lab).size(), 1u);
  EXPECT_EQ(sent<ResyncWrite>(lab)[0].ahead, 1u | 1u << 5 | 1u << 11);
  EXPECT_EQ(intents_written(), before + 1);
  for (uint64_t extent : {3, 4, 9, 15}) EXPECT_TRUE(lab.node(kB).intent.test(extent));
  EXPECT_FALSE(lab.node(kB).intent.test(5));
  const uint64_t marked = intents_written();
  lab.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab.advance(milliseconds(300));
  ASSERT_TRUE(joined(lab));
  const auto writes = sent<ResyncWrite>(lab);
  ASSERT_EQ(writes.size(), 4u);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(writes[i].ahead, 0u) << "said once";
  EXPECT_EQ(intents_written(), marked);
}

TEST_F(Copying, WhatIsAheadIsSaidAgainOnTheWay) {
  Lab lab({.configure = [](CoreConfig& config) {
    config.resync_window = 1;
    config.resync_ahead = 4;
  }});
  lose_b(lab, {0, 4096});
  for (uint64_t extent = 1; extent < 16; ++extent) lab.write(kA, {extent * kExtentBytes, 4096});
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  ASSERT_TRUE(joined(lab));
  const auto writes = sent<ResyncWrite>(lab);
  ASSERT_EQ(writes.size(), 16u);
  for (size_t i = 0; i < 16; ++i) {
    const uint64_t left = (uint64_t{1} << (15 - i)) - 1;
    EXPECT_EQ(writes[i].ahead, i % 2 == 0 ? left & 0b1111 : 0u) << i;
  }
}

// Extents 5, 1 and 3 became dirty one after the other, 7 and 2 with the last of them.
class Ordered : public Copying {
 protected:
  static LabOptions of(bool by_age) {
    return {.configure = [by_age](CoreConfig& config) {
      config.resync_window = 1;
      config.resync_ahead = 8;
      config.resync_by_age = by_age;
    }};
  }
  static std::vector<uint64_t> extents(const std::vector<ResyncWrite>& writes) {
    std::vector<uint64_t> found;
    for (const ResyncWrite& write : writes) found.push_back(write.range.offset / kExtentBytes);
    return found;
  }
  std::vector<ResyncWrite> resync(Lab& lab) {
    lose_b(lab, {5 * kExtentBytes, 4096});
    lab.advance(seconds(2));
    lab.write(kA, {kExtentBytes, 4096});
    lab.advance(seconds(2));
    for (uint64_t extent : {3, 7, 2}) lab.write(kA, {extent * kExtentBytes, 4096});
    lab.advance(seconds(2));
    lab.write(kA, {5 * kExtentBytes, 4096});  // dirty already
    lab.connect(kA, kB);
    lab.advance(seconds(1));
    EXPECT_TRUE(joined(lab));
    return sent<ResyncWrite>(lab);
  }
};

TEST_F(Ordered, ByAddress) {
  Lab lab(of(false));
  EXPECT_EQ(extents(resync(lab)), (std::vector<uint64_t>{1, 2, 3, 5, 7}));
}

TEST_F(Ordered, ByAge) {
  Lab lab(of(true));
  const auto writes = resync(lab);
  EXPECT_EQ(extents(writes), (std::vector<uint64_t>{1, 2, 3, 7, 5}));
  EXPECT_EQ(writes.at(0).ahead, 0b101011u) << "2, 3, 5 and 7";
}

// Small chunks of one extent, whose writes and flushes the target holds until they are let go.
class Pipeline : public Copying {
 protected:
  Pipeline(uint32_t window, uint64_t flush_blocks)
      : lab_({.configure = [=](CoreConfig& config) {
          config.resync_chunk_bytes = 16 * kBlockBytes;
          config.resync_window = window;
          config.resync_flush_blocks = flush_blocks;
        }}) {
    lose_b(lab_, {0, 512 * kBlockBytes});
    lab_.node(kB).hold_disk = [this](const DiskIo& io) {
      int& left = io.kind == OpKind::flush ? flushes_ : writes_;
      if (io.kind == OpKind::read || left == 0) return io.kind != OpKind::read;
      --left;
      return false;
    };
  }
  void let(int writes, int flushes) {
    writes_ = writes;
    flushes_ = flushes;
    lab_.run();
  }
  size_t chunks() { return sent<ResyncWrite>(lab_).size(); }
  size_t flushes() { return sent<FlushRequest>(lab_).size(); }
  Lab lab_;
  int writes_ = 0;
  int flushes_ = 0;
};

struct Batches : Pipeline {
  Batches() : Pipeline(8, 1 << 20) {}
};

TEST_F(Batches, ChunksBeginAQuarterOfTheWindowAtATime) {
  lab_.connect(kA, kB);
  let(0, 0);
  EXPECT_EQ(chunks(), 8u);
  let(1, 0);
  EXPECT_EQ(chunks(), 8u);
  let(1, 0);
  EXPECT_EQ(chunks(), 10u);
  let(3, 0);
  EXPECT_EQ(chunks(), 12u);
}

struct Flushes : Pipeline {
  Flushes() : Pipeline(1, 16) {}
};

// 32 chunks, each as large as what is flushed at least; no time passes.
TEST_F(Flushes, AreSpacedByTimeAndBySize) {
  lab_.connect(kA, kB);
  let(1, 1);
  EXPECT_EQ(flushes(), 1u) << "the first one, that shows how fast it is";
  let(7, 9);
  EXPECT_EQ(flushes(), 1u) << "a moment ago";
  let(1, 9);
  EXPECT_EQ(flushes(), 2u) << "eight times as much";
  let(1, 9);
  EXPECT_EQ(flushes(), 2u);
  lab_.advance(seconds(1));
  let(1, 9);
  EXPECT_EQ(flushes(), 3u) << "a second is over";
}

TEST_F(Flushes, ASlowTargetIsFlushedEachTime) {
  lab_.connect(kA, kB);
  let(2, 0);
  lab_.advance(milliseconds(500));
  EXPECT_EQ(flushes(), 1u);
  let(0, 1);
  EXPECT_EQ(flushes(), 2u);
}

TEST_F(Flushes, NoMoreIsCopiedThanMayWaitForOne) {
  lab_.connect(kA, kB);
  let(100, 0);
  EXPECT_EQ(chunks(), 9u);
  EXPECT_EQ(flushes(), 1u);
  let(100, 100);
  EXPECT_EQ(chunks(), 32u);
  lab_.advance(seconds(1));
  EXPECT_TRUE(joined(lab_));
}

// Another command may be waiting for something at that time.
TEST_F(Copying, APauseIsNoMatterOfTurns) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_meta = true;
  const AdminId demotion = lab.admin(kA, AdminOp::secondary);
  ASSERT_FALSE(lab.result(kA, demotion));
  EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::pause_sync)));
}

TEST_F(Copying, APauseIsToldAgainOnANewLink) {
  Lab lab;
  lose_b(lab);
  lab.connect(kA, kB);
  lab.advance(seconds(1));
  ASSERT_TRUE(joined(lab));
  lab.admin(kB, AdminOp::pause_sync);
  EXPECT_TRUE(lab.show(kA).peers[0].paused_there);
  lab.cut(kA, kB);
  EXPECT_FALSE(lab.show(kA).peers[0].paused_there);
  lab.connect(kA, kB);
  lab.run();
  EXPECT_TRUE(lab.show(kA).peers[0].paused_there);
}

}  // namespace
}  // namespace lockstep
