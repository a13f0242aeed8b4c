#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool data_from_a_to_c(const Lab::Mail& letter) {
  return letter.from == kA && letter.send.to == kC && lane_of(letter.send.message) == Lane::data;
}

// A Primary of three, whose writes to C are still on their way while B tells C the tenure that followed.
class Hearsay : public ::testing::Test {
 protected:
  Hearsay() : lab(three_data_nodes()) {
    lab.create();
    lab.promote(kA);
    lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
    EXPECT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::invalidate)));
    lab.connect(kA, kB);
    lab.advance(seconds(1));
    before = lab.node(kC).tenure().number;
  }
  void b_joins_while_c_hears_of_it_from_others_only() {
    lab.hold_mail = data_from_a_to_c;
    io = lab.write(kA);
    lab.advance(seconds(1));
    ASSERT_GT(lab.node(kB).tenure().number, before);
  }
  Lab lab;
  uint64_t before = 0;
  ClientIo io;
};

TEST_F(Hearsay, TheAuthorsOwnWordIsWaitedForWhileItIsThere) {
  b_joins_while_c_hears_of_it_from_others_only();
  EXPECT_EQ(lab.node(kC).tenure().number, before);
  EXPECT_FALSE(lab.answer(kA, io));
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.run();
  EXPECT_GT(lab.node(kC).tenure().number, before);
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok) << "the write came first, and was taken";
}

TEST_F(Hearsay, WithoutTheAuthorAnothersWordIsTaken) {
  b_joins_while_c_hears_of_it_from_others_only();
  lab.cut(kA, kC);
  EXPECT_GT(lab.node(kC).tenure().number, before);
}

// It would land on what the Primary after it writes.
TEST(Adopting, WaitsForAWriteThatWaitsForItsIntent) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  const uint64_t before = lab.node(kB).tenure().number;
  lab.node(kB).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::intent; };
  lab.write(kA);
  ASSERT_TRUE(lab.node(kB).disk.empty()) << "not yet at the disk";
  lab.kill(kA);
  lab.advance(seconds(5));
  lab.promote(kC);
  EXPECT_EQ(lab.node(kB).tenure().number, before);
  lab.node(kB).hold_meta_of = [](LabNode::Meta) { return false; };
  lab.run();
  EXPECT_EQ(lab.node(kB).tenure().primary, lab.node(kC).tenure().primary);
}

}  // namespace
}  // namespace lockstep
