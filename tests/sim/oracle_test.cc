// An oracle that cannot object is worthless: here it is shown wrong histories, disks and tenures, and must
// object to each, and right ones, to which it must not.
#include "sim/oracle.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lockstep::sim {
namespace {

constexpr Seat kA{0};
constexpr Seat kB{1};
constexpr Seat kW = witness_seat(0);
constexpr uint64_t kBlocks = 2 * kBlocksPerExtent;

Range block(uint64_t b) { return {b * kBlockBytes, kBlockBytes}; }
Payload versions(uint64_t v) { return std::make_shared<const std::vector<uint64_t>>(1, v); }

// --- history: P1, P6, P7
// ------------------------------------------------------------------------------------------------------

class HistoryTest : public testing::Test {
 protected:
  // An operation on block 7 from `begin` to `end` (0: never answered).
  uint64_t op(OpKind kind, int64_t begin, int64_t end, uint64_t saw = 0, bool fua = false) {
    ClientOp o;
    o.kind = kind;
    o.range = kind == OpKind::flush ? Range{} : block(7);
    o.fua = fua;
    o.invoked = Instant{begin};
    const uint64_t index = history_.invoke(o);
    if (end > 0) history_.answer(index, IoStatus::ok, kind == OpKind::read ? versions(saw) : nullptr, Instant{end});
    return History::version_of(index);
  }
  uint64_t write(int64_t begin, int64_t end) { return op(OpKind::write, begin, end); }
  void read(int64_t begin, int64_t end, uint64_t saw) { op(OpKind::read, begin, end, saw); }
  bool right() const { return history_.check().good(); }
  History history_;
};

TEST_F(HistoryTest, AcceptsWritesAndReadsInOrder) {
  read(1, 2, kFirstVersion);
  const uint64_t a = write(3, 4);
  read(5, 6, a);
  const uint64_t b = write(7, 8);
  read(9, 10, b);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsToALostAcknowledgedWrite) {
  const uint64_t a = write(1, 2);
  write(3, 4);
  read(5, 6, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, WhatWasWrittenBeforeAForceIsAsOnTheCopyThatWasChosen) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 4);
  history_.forced(Instant{5});
  history_.chose(std::vector<uint64_t>(kBlocks, a));
  read(6, 7, a);
  EXPECT_EQ(history_.check().wrong, "");
  read(8, 9, b);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, WithoutAChosenCopyAnythingFromBeforeAForceMayBeThere) {
  write(1, 2);
  const uint64_t b = write(3, 4);
  history_.forced(Instant{5});
  read(6, 7, b);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsToTheInitialContentAfterAWrite) {
  write(1, 2);
  read(3, 4, kFirstVersion);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, AcceptsEitherOfTwoConcurrentWrites) {
  const uint64_t a = write(1, 10);
  write(2, 9);
  read(11, 12, a);
  EXPECT_TRUE(right());
}

TEST_F(HistoryTest, ObjectsWhenAnOlderValueComesBack) {
  const uint64_t a = write(1, 10);
  const uint64_t b = write(2, 9);
  read(11, 12, a);
  read(13, 14, b);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsToAReadThatIsOvertakenDuringAWrite) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 20);
  read(4, 5, b);
  read(6, 7, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, AcceptsAnUnansweredWriteThatTookEffectOrDidNot) {
  const uint64_t a = write(1, 2);
  write(3, 0);
  read(5, 6, a);
  EXPECT_TRUE(right());
  const uint64_t c = write(7, 0);
  read(8, 9, c);
  EXPECT_TRUE(right());
}

TEST_F(HistoryTest, ObjectsWhenAnUnansweredWriteIsSeenAndVanishes) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 0);
  read(5, 6, b);
  read(7, 8, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsToAValueThatNobodyWrote) {
  read(1, 2, 99);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsToAReadBeforeItsWrite) {
  read(1, 2, History::version_of(1));
  write(3, 4);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ZeroesAreAWriteLikeAnyOther) {
  const uint64_t a = write(1, 2);
  op(OpKind::write_zeroes, 3, 4);
  read(5, 6, kZeroVersion);
  EXPECT_TRUE(right());
  read(7, 8, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, WhatWasNotFlushedMayBeLostEverywhere) {
  const uint64_t a = write(1, 2);
  op(OpKind::flush, 3, 4);
  write(5, 6);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, a);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsWhenSomethingFlushedIsLost) {
  const uint64_t a = write(1, 2);
  write(3, 4);
  op(OpKind::flush, 5, 6);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, a);
  EXPECT_FALSE(right());
}

TEST_F(HistoryTest, ObjectsWhenAForcedWriteIsLost) {
  const uint64_t a = write(1, 2);
  op(OpKind::write, 3, 4, 0, true);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, a);
  EXPECT_FALSE(right());
}

// A Primary without a disk goes on when its only copy has lost its cache: a write that waited takes effect after that.
TEST_F(HistoryTest, AWriteThatOutlivesALossTakesEffectAfterIt) {
  for (const bool served_on : {false, true}) {
    SCOPED_TRACE(served_on);
    history_ = {};
    const uint64_t a = write(1, 2);
    const uint64_t b = write(3, 20);
    history_.all_lost_unflushed(Instant{10}, served_on);
    read(11, 12, a);
    read(21, 22, b);
    EXPECT_EQ(right(), served_on);
  }
}

TEST_F(HistoryTest, AFlushAfterALossDoesNotBringBackWhatWasLost) {
  const uint64_t a = write(1, 2);
  op(OpKind::flush, 3, 4);
  write(5, 6);
  history_.all_lost_unflushed(Instant{10});
  op(OpKind::flush, 11, 12);
  history_.all_lost_unflushed(Instant{20});
  read(21, 22, a);
  EXPECT_EQ(history_.check().wrong, "");
}

TEST_F(HistoryTest, ObjectsToTwoSurvivorsOfOneLoss) {
  const uint64_t a = write(1, 2);
  const uint64_t b = write(3, 4);
  history_.all_lost_unflushed(Instant{10});
  read(11, 12, b);
  read(13, 14, a);
  EXPECT_FALSE(right());
}

// --- tenures: P2, P8
// ----------------------------------------------------------------------------------------------------------

Uuid acceptor(Seat seat) { return Uuid::from_words(7, seat.value + 1U); }

Tenure tenure(uint64_t number, Seat primary, SeatSet members) {
  Tenure t;
  t.history = Uuid::from_words(1, 1);
  t.number = number;
  t.origin = {number * 10 + primary.value, primary, 1};
  t.primary = Holder{primary, Uuid::from_words(2, primary.value), 1};
  t.members = members;
  for (Seat seat : {kA, kB, kW}) t.voters.push_back({seat, acceptor(seat)});
  return t;
}

AcceptorRecord accepted(Seat seat, const Tenure& value, Ballot ballot) {
  AcceptorRecord record;
  record.acceptor = acceptor(seat);
  record.accepted = record.promised = ballot;
  record.tenure = value;
  return record;
}

const Boot kBoot = Uuid::from_words(3, 1);
const Boot kLaterBoot = Uuid::from_words(3, 2);

class RegisterTest : public testing::Test {
 protected:
  std::string accept(const Tenure& value, std::initializer_list<Seat> seats) {
    std::string wrong;
    for (Seat seat : seats) wrong += register_.acceptor_durable(seat, accepted(seat, value, value.origin)).wrong;
    return wrong;
  }
  RegisterOracle register_;
};

TEST_F(RegisterTest, AChainIsRight) {
  EXPECT_EQ(accept(tenure(1, kA, {kA, kB}), {kA, kB}), "");
  EXPECT_EQ(accept(tenure(2, kB, {kB}), {kB, kW}), "");
  EXPECT_EQ(register_.adopted(kB, tenure(2, kB, {kB})).wrong, "");
  EXPECT_EQ(register_.promoted(kB, 1, tenure(2, kB, {kB})).wrong, "");
  EXPECT_EQ(register_.decided(), 2U);
}

TEST_F(RegisterTest, ObjectsToAFork) {
  EXPECT_EQ(accept(tenure(2, kA, {kA}), {kA, kW}), "");
  EXPECT_NE(accept(tenure(2, kB, {kB}), {kB, kW}), "");
}

TEST_F(RegisterTest, ObjectsToGoingBack) {
  EXPECT_EQ(accept(tenure(5, kA, {kA}), {kA, kW}), "");
  EXPECT_NE(accept(tenure(4, kB, {kB}), {kB, kW}), "");
}

TEST_F(RegisterTest, ObjectsToTwoValuesUnderOneBallot) {
  EXPECT_EQ(register_.acceptor_durable(kA, accepted(kA, tenure(1, kA, {kA}), {5, kA, 1})).wrong, "");
  EXPECT_NE(register_.acceptor_durable(kB, accepted(kB, tenure(1, kA, {kA, kB}), {5, kA, 1})).wrong, "");
}

TEST_F(RegisterTest, ObjectsToActingOnAMinority) {
  EXPECT_EQ(accept(tenure(1, kA, {kA}), {kA}), "");
  EXPECT_NE(register_.adopted(kA, tenure(1, kA, {kA})).wrong, "");
}

TEST_F(RegisterTest, AForeignAcceptorIsNoVote) {
  Tenure value = tenure(1, kA, {kA});
  EXPECT_EQ(accept(value, {kA}), "");
  AcceptorRecord stranger = accepted(kW, value, value.origin);
  stranger.acceptor = Uuid::from_words(9, 9);
  EXPECT_EQ(register_.acceptor_durable(kW, stranger).wrong, "");
  EXPECT_NE(register_.adopted(kA, value).wrong, "");
}

TEST_F(RegisterTest, HalfAndACompletedFenceDecide) {
  Tenure value = tenure(2, kA, {kA});
  value.voters.clear();
  for (Seat seat : {kA, kB}) value.voters.push_back({seat, acceptor(seat)});
  EXPECT_EQ(accept(value, {kA}), "");
  EXPECT_NE(register_.adopted(kA, value).wrong, "");
  register_.fence_completed(kA, kB, kBoot);
  EXPECT_EQ(register_.members_owed(), SeatSet{});  // nothing was decided before
  EXPECT_EQ(register_.adopted(kA, value).wrong, "");
  EXPECT_EQ(register_.members_owed(), SeatSet{kA});
}

TEST_F(RegisterTest, AHistoryGoesOnWhereOneOfItsNodesHasGivenItUp) {
  Tenure forced = tenure(3, kB, {kB});
  forced.history = Uuid::from_words(5, 1);
  register_.force_asked(kB);
  EXPECT_EQ(accept(tenure(2, kA, {kA, kB}), {kA, kW}), "");
  EXPECT_EQ(accept(forced, {kB, kW}), "");
  register_.abandoned(tenure(2, kA, {kA, kB}).history);
  EXPECT_EQ(accept(tenure(3, kA, {kA}), {kA, kW}), "");
  Tenure stranger = tenure(9, kA, {kA});
  stranger.history = Uuid::from_words(8, 1);
  EXPECT_NE(accept(stranger, {kA, kW}), "");
}

TEST_F(RegisterTest, AFenceCountsUntilTheNodeIsMetAgain) {
  Tenure value = tenure(2, kA, {kA});
  value.voters.clear();
  for (Seat seat : {kA, kB}) value.voters.push_back({seat, acceptor(seat)});
  register_.fence_completed(kA, kB, kBoot);
  register_.met(kA, kB, kLaterBoot);
  EXPECT_EQ(accept(value, {kA}), "");
  EXPECT_NE(register_.adopted(kA, value).wrong, "");
}

// Its hello was on the way as it was fenced; the report comes after that (seed 369888239899).
TEST_F(RegisterTest, LateMailOfTheFencedBootDoesNotVoidTheFence) {
  for (const bool later_boot : {false, true}) {
    SCOPED_TRACE(later_boot);
    register_ = {};
    Tenure value = tenure(2, kA, {kA});
    value.voters.clear();
    for (Seat seat : {kA, kB}) value.voters.push_back({seat, acceptor(seat)});
    register_.fence_completed(kA, kB, kBoot);
    register_.met(kA, kB, later_boot ? kLaterBoot : kBoot);
    register_.fence_told(kA, kB);
    EXPECT_EQ(accept(value, {kA}), "");
    EXPECT_EQ(register_.adopted(kA, value).wrong == "", !later_boot);
  }
}

TEST_F(RegisterTest, WhatAFenceMayHaveDecidedStaysSo) {
  Tenure value = tenure(2, kA, {kA});
  value.voters.clear();
  for (Seat seat : {kA, kB}) value.voters.push_back({seat, acceptor(seat)});
  EXPECT_EQ(accept(value, {kA}), "");
  register_.fence_completed(kA, kB, kBoot);
  register_.met(kA, kB, kLaterBoot);
  EXPECT_EQ(register_.adopted(kA, value).wrong, "");
}

TEST_F(RegisterTest, ObjectsToAPrimaryOutsideTheSet) {
  EXPECT_EQ(accept(tenure(1, kA, {kB}), {kA, kB}), "");
  EXPECT_NE(register_.promoted(kA, 1, tenure(1, kA, {kB})).wrong, "");
}

TEST_F(RegisterTest, ObjectsToAPrimaryOfAnotherStart) {
  EXPECT_EQ(accept(tenure(1, kA, {kA}), {kA, kB}), "");
  EXPECT_NE(register_.promoted(kA, 2, tenure(1, kA, {kA})).wrong, "");
}

TEST_F(RegisterTest, AForcedHistoryThatWasBegunAgainIsNoLongerTheLatest) {
  const auto forced = [](uint64_t history, uint64_t round) {
    Tenure value = tenure(1, kA, {kA});
    value.history = Uuid::from_words(history, 1);
    value.parent = tenure(1, kA, {kA, kB}).history;
    value.origin = {round, kA, 1};
    value.voters = {{kA, acceptor(kA)}};
    return value;
  };
  for (const bool used : {false, true}) {
    SCOPED_TRACE(used);
    register_ = {};
    register_.force_asked(kA);
    EXPECT_EQ(accept(tenure(1, kB, {kA, kB}), {kA, kB}), "");
    EXPECT_EQ(register_.adopted(kA, tenure(1, kB, {kA, kB})).wrong, "");
    EXPECT_EQ(accept(forced(5, 50), {kA}), "");
    if (used) {
      EXPECT_EQ(register_.adopted(kA, forced(5, 50)).wrong, "");
    }
    EXPECT_EQ(accept(forced(6, 60), {kA}), "");
    EXPECT_EQ(register_.adopted(kA, forced(6, 60)).wrong, "");
    register_.abandoned(forced(6, 60).history);
    EXPECT_EQ(*register_.latest() == forced(5, 50), used);
  }
}

// --- copies and servers: P1, P2, P4, P5, P9, P12
// ------------------------------------------------------------------------------

class CopiesTest : public testing::Test {
 protected:
  CopiesTest() : a_(queue_, Prng(1), oracle_, kA, kBlocks), b_(queue_, Prng(2), oracle_, kB, kBlocks) {
    oracle_.add_disk(kA, &a_);
    oracle_.add_disk(kB, &b_);
    for (auto [disk, seat, other] : {std::tuple{&a_, kA, kB}, std::tuple{&b_, kB, kA}}) {
      NodeRecord record;
      record.node = seat;
      record.disk = acceptor(seat);
      record.peers[other.value].disk = acceptor(other);
      record.acceptor = accepted(seat, both(), both().origin);
      disk->create(record, kFirstVersion);
      disk->write(WriteBitmapPage{{}, other, 0, std::make_shared<BitPage>()}, [](bool) {});  // nothing is dirty
    }
    settle();
    for (Seat seat : {kA, kB}) oracle_.acceptor_durable(seat, accepted(seat, both(), both().origin));
  }
  static Tenure both() { return tenure(1, kA, {kA, kB}); }
  void adopt() {
    for (SimDisk* disk : {&a_, &b_}) {
      auto record = std::make_shared<NodeRecord>(disk->record());
      record->adopted = both();
      disk->write(WriteRecord{{}, record}, [](bool) {});
    }
    settle();
  }
  void put(SimDisk& disk, uint64_t b, uint64_t version) {
    disk.submit(DiskIo{{}, OpKind::write, block(b), false, {}}, versions(version), [](IoStatus, Payload) {});
    settle();
  }
  void settle() { queue_.run_until(queue_.now() + seconds(1)); }
  uint64_t invoke(uint64_t b) {
    ClientOp op;
    op.kind = OpKind::write;
    op.range = block(b);
    op.invoked = queue_.now();
    return oracle_.invoked(op);
  }
  void acknowledge(uint64_t op, Seat node = kA, uint64_t number = 1) {
    oracle_.answered(op, node, 1, tenure(number, node, {kA, kB}), IoStatus::ok, nullptr);
  }
  std::string promise() const { return oracle_.failed() ? oracle_.violations()[0].promise : ""; }

  EventQueue queue_;
  Coverage coverage_;
  Oracle oracle_{queue_, coverage_};
  SimDisk a_;
  SimDisk b_;
};

TEST_F(CopiesTest, AWriteOnBothCopiesMayBeAcknowledged) {
  const uint64_t op = invoke(3);
  put(a_, 3, History::version_of(op));
  put(b_, 3, History::version_of(op));
  acknowledge(op);
  EXPECT_EQ(promise(), "");
}

TEST_F(CopiesTest, ObjectsToAnAcknowledgementThatAMemberLacks) {
  const uint64_t op = invoke(3);
  put(a_, 3, History::version_of(op));
  acknowledge(op);
  EXPECT_EQ(promise(), "P1");
}

TEST_F(CopiesTest, AReplacedDiskOwesWhatIsBegunAfterwards) {
  const uint64_t before = invoke(3);
  put(a_, 3, History::version_of(before));
  oracle_.disk_replaced(kB);
  acknowledge(before);
  EXPECT_EQ(promise(), "") << "the answer to what it had was under way";
  const uint64_t after = invoke(4);
  put(a_, 4, History::version_of(after));
  acknowledge(after);
  EXPECT_EQ(promise(), "P1");
}

TEST_F(CopiesTest, ObjectsToAJoinWithSomethingOlder) {
  for (const bool lost_by_all : {false, true}) {
    Oracle oracle(queue_, coverage_);
    SimDisk a(queue_, Prng(1), oracle, kA, kBlocks);
    SimDisk b(queue_, Prng(2), oracle, kB, kBlocks);
    for (auto [disk, seat] : {std::pair{&a, kA}, std::pair{&b, kB}}) {
      oracle.add_disk(seat, disk);
      NodeRecord record;
      record.adopted = tenure(1, kA, {kA});  // what was never used joins nothing
      disk->create(record, kFirstVersion);
    }
    const auto decide = [&](const Tenure& value) {
      for (Seat seat : {kA, kW}) oracle.acceptor_durable(seat, accepted(seat, value, value.origin));
    };
    decide(tenure(1, kA, {kA}));
    ClientOp write;
    write.kind = OpKind::write;
    write.range = block(3);
    write.invoked = queue_.now();
    const uint64_t op = oracle.invoked(write);
    put(a, 3, History::version_of(op));
    oracle.answered(op, kA, 1, tenure(1, kA, {kA}), IoStatus::ok, nullptr);
    settle();
    if (lost_by_all) oracle.cache_at_risk(kA, BitVector(1, true));  // the only member
    decide(tenure(2, kA, {kA, kB}));
    EXPECT_EQ(oracle.failed(), !lost_by_all);
    if (oracle.failed()) {
      EXPECT_EQ(oracle.violations().at(0).promise, "P5");
    }
  }
}

// The only member has written, loses its cache while the answer is on its way, and a flush follows that answer.
TEST_F(CopiesTest, WhatWasLostBeforeItsAnswerArrivedIsNotKeptByALaterFlush) {
  for (const bool in_cache : {true, false}) {
    SCOPED_TRACE(in_cache);
    Oracle oracle(queue_, coverage_);
    SimDisk a(queue_, Prng(1), oracle, kA, kBlocks);
    oracle.add_disk(kA, &a);
    a.create(NodeRecord{}, kFirstVersion);
    for (Seat seat : {kA, kW}) oracle.acceptor_durable(seat, accepted(seat, tenure(1, kA, {kA}), tenure(1, kA, {kA}).origin));
    const auto invoke = [&](OpKind kind) {
      ClientOp op;
      op.kind = kind;
      op.range = kind == OpKind::flush ? Range{} : block(3);
      op.invoked = queue_.now();
      settle();
      return oracle.invoked(op);
    };
    const auto answer = [&](uint64_t op, Payload seen) {
      oracle.answered(op, kA, 1, tenure(1, kA, {kA}), IoStatus::ok, std::move(seen));
      settle();
    };
    const uint64_t write = invoke(OpKind::write);
    if (in_cache) put(a, 3, History::version_of(write));
    oracle.cache_at_risk(kA, BitVector(1, true));
    settle();
    put(a, 3, kFirstVersion);
    answer(write, nullptr);
    answer(invoke(OpKind::flush), nullptr);
    answer(invoke(OpKind::read), versions(kFirstVersion));
    oracle.check_history();
    EXPECT_EQ(oracle.failed(), !in_cache);
  }
}

// A write without an answer is gone only if no copy that lost it has been levelled since (seed 2000197669).
TEST_F(CopiesTest, ALevelledCopyHasWhatItHadLost) {
  for (const bool levelled : {false, true}) {
    SCOPED_TRACE(levelled);
    coverage_.everywhere_lost = 0;
    adopt();
    const uint64_t write = invoke(levelled ? 3 : 4);
    for (SimDisk* disk : {&a_, &b_}) put(*disk, levelled ? 3 : 4, History::version_of(write));
    oracle_.cache_at_risk(kA, BitVector(2, true));
    for (const bool inconsistent : {levelled, false}) {
      auto record = std::make_shared<NodeRecord>(a_.record());
      record->inconsistent = inconsistent;
      a_.write(WriteRecord{{}, record}, [](bool) {});
      settle();
    }
    oracle_.cache_at_risk(kB, BitVector(2, true));
    EXPECT_EQ(coverage_.everywhere_lost, levelled ? 0U : 1U);
  }
}

TEST_F(CopiesTest, ObjectsToAnUncoveredDifference) {
  adopt();
  put(a_, 3, History::version_of(invoke(3)));
  oracle_.compare_copies();
  EXPECT_EQ(promise(), "P4");
}

TEST_F(CopiesTest, AnIntentBitOfEitherCopyCoversADifference) {
  adopt();
  auto bits = std::make_shared<BitPage>();
  (*bits)[0] = 1;
  b_.write(WriteIntentPage{{}, 0, 1, bits}, [](bool) {});
  settle();
  put(a_, 3, History::version_of(invoke(3)));
  oracle_.compare_copies();
  EXPECT_EQ(promise(), "");
  put(a_, kBlocksPerExtent,
      History::version_of(invoke(kBlocksPerExtent)));  // in the next extent: not covered
  oracle_.compare_copies();
  EXPECT_EQ(promise(), "P4");
}

TEST_F(CopiesTest, ADirtyBitCoversADifference) {
  adopt();
  auto bits = std::make_shared<BitPage>();
  (*bits)[0] = 1U << 3;
  a_.write(WriteBitmapPage{{}, kB, 0, bits}, [](bool) {});
  settle();
  put(a_, 3, History::version_of(invoke(3)));
  oracle_.compare_copies();
  EXPECT_EQ(promise(), "");
}

TEST_F(CopiesTest, ObjectsWhenAMemberGoesBack) {
  const uint64_t old_op = invoke(3);
  put(a_, 3, History::version_of(old_op));
  put(b_, 3, History::version_of(old_op));
  acknowledge(old_op);
  settle();
  const uint64_t new_op = invoke(3);
  put(a_, 3, History::version_of(new_op));
  put(b_, 3, History::version_of(new_op));
  acknowledge(new_op);
  EXPECT_EQ(promise(), "");
  put(b_, 3, History::version_of(old_op));
  EXPECT_EQ(promise(), "P5");
}

TEST_F(CopiesTest, ObjectsToTwoServers) {
  const uint64_t first = invoke(3);
  const uint64_t second = invoke(4);
  for (SimDisk* disk : {&a_, &b_}) {
    put(*disk, 3, History::version_of(first));
    put(*disk, 4, History::version_of(second));
  }
  acknowledge(first, kB, 2);
  EXPECT_EQ(promise(), "");
  acknowledge(second, kA, 1);
  EXPECT_EQ(promise(), "P2");
}

TEST_F(CopiesTest, ObjectsToCopiesThatDoNotHeal) {
  oracle_.compare_identical();
  EXPECT_EQ(promise(), "");
  put(a_, 3, History::version_of(invoke(3)));
  oracle_.compare_identical();
  EXPECT_EQ(promise(), "P9");
}

TEST_F(CopiesTest, ObjectsToARefusalWithoutAReason) {
  oracle_.refused(kA, "primary", Reason::no_quorum);
  EXPECT_EQ(promise(), "");
  oracle_.refused(kA, "primary", Reason::none);
  EXPECT_EQ(promise(), "P12");
}

}  // namespace
}  // namespace lockstep::sim
