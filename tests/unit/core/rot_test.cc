// Disks that keep digests: blocks that do not hold what was written, and extents that are sealed before they leave the intent map.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

constexpr Range block(uint64_t n) { return {n * kBlockBytes, kBlockBytes}; }

class RotTest : public testing::Test {
 protected:
  void SetUp() override { bring_up(); }
  void bring_up(LabOptions options = {}) {
    const auto configure = options.configure;
    options.configure = [configure](CoreConfig& config) {
      config.digests_at_rest = true;
      config.max_failed_reads = 2;
      configure(config);
    };
    lab_.emplace(options);
    lab_->create();
    lab_->promote(kA);
  }
  // Reads of these blocks find wrong bytes, until something is written there.
  void rot(Seat seat, std::set<uint64_t> blocks) {
    lab_->node(seat).disk_status = [blocks = std::move(blocks)](const DiskIo& io) mutable {
      bool bad = false;
      for (uint64_t n = io.range.offset / kBlockBytes; n * kBlockBytes < io.range.end(); ++n) {
        if (is_change(io.kind)) blocks.erase(n);
        bad = bad || blocks.contains(n);
      }
      return io.kind == OpKind::read && bad ? IoStatus::corrupt : IoStatus::ok;
    };
  }
  size_t notices(Seat seat, Notice notice) {
    const auto& notes = lab_->node(seat).notes;
    return static_cast<size_t>(
        std::count_if(notes.begin(), notes.end(), [&](const Note& note) { return note.notice == notice; }));
  }
  bool member(Seat seat) { return lab_->node(kA).tenure().members.contains(seat); }
  uint64_t dirty() { return lab_->show(kA).dirty_blocks[kB.value]; }
  // B comes back, and lacks the first eight blocks.
  void make_b_stale() {
    lab_->cut(kA, kB);
    lab_->advance(seconds(1));
    lab_->write(kA, {0, 8 * kBlockBytes});
    lab_->advance(seconds(1));
    ASSERT_FALSE(member(kB));
  }
  void verify() {
    lab_->admin(kA, AdminOp::verify);
    lab_->advance(seconds(5));
  }
  std::optional<Lab> lab_;
};

TEST_F(RotTest, AnotherCopyAnswersAndTheBlockIsWrittenAnewAndTheDiskIsKept) {
  for (uint64_t n = 0; n < 20; ++n) {
    rot(kA, {n});
    EXPECT_EQ(lab_->answer(kA, lab_->read(kA, block(n))), IoStatus::ok);
  }
  EXPECT_EQ(lab_->show(kA).healed_blocks, 20u);
  EXPECT_EQ(lab_->show(kA).disk, DiskState::up_to_date);
  EXPECT_EQ(notices(kA, Notice::rot_found), 20u);
  EXPECT_EQ(notices(kA, Notice::read_failed), 0u);
}

TEST_F(RotTest, WithoutAnotherCopyTheClientGetsAnErrorAndTheDiskIsKept) {
  make_b_stale();
  rot(kA, {0});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(lab_->answer(kA, lab_->read(kA, block(0))), IoStatus::io_error);
  EXPECT_EQ(lab_->show(kA).disk, DiskState::up_to_date);
  EXPECT_EQ(lab_->answer(kA, lab_->write(kA, block(0))), IoStatus::ok);
  EXPECT_EQ(lab_->answer(kA, lab_->read(kA, block(0))), IoStatus::ok);
}

TEST_F(RotTest, AReadOfBlocksThatAreBadOnOneCopyEachWaitsUntilTheyAreWrittenAnew) {
  rot(kA, {1});
  rot(kB, {2, 5});
  const ClientIo read = lab_->read(kA, {0, 8 * kBlockBytes});
  EXPECT_FALSE(lab_->answer(kA, read));
  lab_->advance(milliseconds(30));
  EXPECT_EQ(lab_->answer(kA, read), IoStatus::ok);
  lab_->advance(milliseconds(30));
  EXPECT_EQ(lab_->show(kA).healed_blocks, 3u);
}

TEST_F(RotTest, ABlockThatIsBadOnEveryCopyIsAnError) {
  rot(kA, {1});
  rot(kB, {1});
  const ClientIo read = lab_->read(kA, {0, 8 * kBlockBytes});
  lab_->advance(milliseconds(50));
  EXPECT_FALSE(lab_->answer(kA, read)) << "it may be another one there";
  lab_->advance(seconds(2));
  EXPECT_EQ(lab_->answer(kA, read), IoStatus::io_error);
  EXPECT_EQ(lab_->answer(kA, lab_->read(kA, block(1))), IoStatus::io_error);
  EXPECT_EQ(lab_->answer(kA, lab_->write(kA, {0, 8 * kBlockBytes})), IoStatus::ok) << "nothing holds the range";
  EXPECT_EQ(lab_->answer(kA, lab_->read(kA, {0, 8 * kBlockBytes})), IoStatus::ok);
}

TEST_F(RotTest, AReadThatIsTriedAgainEndsWithTheRole) {
  rot(kA, {1});
  rot(kB, {1});
  const ClientIo read = lab_->read(kA, {0, 8 * kBlockBytes});
  lab_->admin(kA, AdminOp::secondary);
  lab_->advance(seconds(3));
  EXPECT_TRUE(lab_->answer(kA, read));
  EXPECT_EQ(lab_->show(kA).role, Role::secondary);
}

TEST_F(RotTest, OnASecondaryItIsFoundByComparisonsAndHealed) {
  rot(kB, {1, 3, 5, 7, 9});
  verify();
  EXPECT_TRUE(lab_->show(kA).peers.at(0).verify.completed);
  EXPECT_EQ(lab_->show(kA).healed_blocks, 5u);
  EXPECT_EQ(lab_->show(kB).disk, DiskState::up_to_date);
  EXPECT_TRUE(lab_->node(kB).noted(Notice::rot_found));
}

TEST_F(RotTest, ASecondaryThatIsReadKeepsItsDisk) {
  bring_up({.data_nodes = {kA, kB}, .witnesses = {kW}, .configure = [](CoreConfig& config) {
              config.read_balancing = ReadBalancing::round_robin;
            }});
  for (uint64_t n = 0; n < 12; ++n) {
    rot(kB, {n});
    for (int i = 0; i < 2; ++i) EXPECT_EQ(lab_->answer(kA, lab_->read(kA, block(n))), IoStatus::ok);
    lab_->advance(seconds(3));
  }
  EXPECT_EQ(lab_->show(kA).healed_blocks, 12u);
  EXPECT_EQ(lab_->show(kB).disk, DiskState::up_to_date);
  EXPECT_EQ(notices(kB, Notice::read_failed), 0u);
}

TEST_F(RotTest, AComparisonWaitsWhenTooMuchIsBeingWrittenAnew) {
  std::set<uint64_t> bad;
  for (uint64_t n = 0; n < 200; ++n) bad.insert(n);
  rot(kA, bad);
  verify();
  EXPECT_TRUE(lab_->show(kA).peers.at(0).verify.completed);
  EXPECT_EQ(lab_->show(kA).healed_blocks, 200u);
  EXPECT_EQ(notices(kA, Notice::verify_aborted), 0u);
}

TEST_F(RotTest, WithNobodyPrimaryItIsListed) {
  ASSERT_TRUE(lab_->ok(kA, lab_->admin(kA, AdminOp::secondary)));
  rot(kB, {1, 70});
  verify();
  EXPECT_TRUE(lab_->show(kA).peers.at(0).verify.completed);
  EXPECT_EQ(lab_->show(kA).peers.at(0).verify.differing, 2u);
  lab_->promote(kA);
  verify();
  EXPECT_EQ(lab_->show(kA).peers.at(0).verify.differing, 0u) << "and healed when somebody is";
  EXPECT_EQ(lab_->show(kA).healed_blocks, 2u);
}

TEST_F(RotTest, AResyncCopiesAllOtherBlocksAndWaitsForThese) {
  make_b_stale();
  rot(kA, {2, 5});
  lab_->connect(kA, kB);
  lab_->advance(seconds(3));
  EXPECT_EQ(dirty(), 2u);
  EXPECT_FALSE(member(kB));
  EXPECT_EQ(lab_->show(kA).disk, DiskState::up_to_date);
  EXPECT_LT(notices(kA, Notice::rot_found), 6u) << "it does not go round and round";
  lab_->write(kA, block(2));
  lab_->advance(seconds(8));
  EXPECT_EQ(dirty(), 1u);
  EXPECT_FALSE(member(kB));
  lab_->write(kA, block(5));
  lab_->advance(seconds(8));
  EXPECT_EQ(dirty(), 0u);
  EXPECT_TRUE(member(kB));
}

TEST_F(RotTest, AResyncHealsWhatAnotherCopyHas) {
  bring_up(three_data_nodes());
  lab_->cut(kA, kB);
  lab_->advance(seconds(1));
  lab_->write(kA, {0, 8 * kBlockBytes});
  lab_->advance(seconds(1));
  ASSERT_TRUE(member(kC) && !member(kB));
  rot(kA, {2, 5});
  lab_->connect(kA, kB);
  lab_->advance(seconds(10));
  EXPECT_EQ(lab_->show(kA).healed_blocks, 2u);
  EXPECT_TRUE(member(kB));
}

TEST_F(RotTest, AStopSealsAndLeavesNoExtentSet) {
  lab_->write(kA, block(0));
  lab_->advance(seconds(1));  // settled, and still hot
  ASSERT_GT(lab_->show(kB).hot_extents, 0u);
  lab_->node(kB).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::seal; };
  const AdminId stop = lab_->admin(kB, AdminOp::stop);
  lab_->advance(milliseconds(500));
  EXPECT_FALSE(lab_->result(kB, stop));
  lab_->node(kB).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_->run();
  lab_->advance(milliseconds(10));
  EXPECT_TRUE(lab_->ok(kB, stop));
  EXPECT_EQ(lab_->node(kB).sealed, std::vector<uint64_t>{0});
}

TEST_F(RotTest, AWriteThatNeedsRoomWaitsForASeal) {
  bring_up({.data_nodes = {kA, kB}, .witnesses = {kW}, .configure = [](CoreConfig& config) { config.max_hot_extents = 1; }});
  lab_->write(kA, block(0));
  lab_->advance(milliseconds(1));
  lab_->node(kA).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::seal; };
  const ClientIo next = lab_->write(kA, {kExtentBytes, kBlockBytes});
  lab_->advance(seconds(1));
  EXPECT_FALSE(lab_->answer(kA, next));
  lab_->node(kA).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, next), IoStatus::ok);
  EXPECT_EQ(lab_->node(kA).sealed, std::vector<uint64_t>{0});
}

TEST_F(RotTest, ASealThatFailsGivesTheDiskUp) {
  lab_->write(kA, block(0));
  lab_->node(kA).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::seal; };
  lab_->advance(seconds(5));
  ASSERT_EQ(lab_->node(kA).meta.size(), 1u);
  lab_->node(kA).meta_ok = false;
  lab_->node(kA).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_->run();
  lab_->advance(seconds(1));
  EXPECT_TRUE(lab_->node(kA).noted(Notice::metadata_failed));
  EXPECT_EQ(lab_->show(kA).disk, DiskState::diskless);
}

}  // namespace
}  // namespace lockstep
