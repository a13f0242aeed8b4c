#include "core/resync/target.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

int maps_sent(const Lab& lab, Seat to) {
  int sent = 0;
  for (const Lab::Mail& letter : lab.delivered) {
    const auto* map = std::get_if<ResyncMap>(&letter.send.message);
    sent += map && map->last && letter.send.to == to ? 1 : 0;
  }
  return sent;
}

// A of three has been stopped, so there is no Primary; C missed writes. `from` is the author of the tenure, and begins to copy to C.
class TargetOfTwo : public ::testing::Test {
 protected:
  TargetOfTwo() : lab(three_data_nodes()) {
    lab.create();
    lab.promote(kA);
    lab.kill(kC);
    lab.advance(seconds(2));
    lab.write(kA);
    EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
    EXPECT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
    EXPECT_EQ(lab.node(kA).tenure().origin.node, kA);
    // It will not be levelled before the test is over.
    lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
    lab.start(kC);
  }
  void begins(Seat source) { lab.inject(source, kC, ResyncBegin{stamp_of(lab.node(kC).tenure()), false}); }
  Lab lab;
};

TEST_F(TargetOfTwo, StaysWithTheAuthorOfTheTenure) {
  lab.connect(kA, kC);
  lab.connect(kB, kC);
  lab.run();
  ASSERT_EQ(maps_sent(lab, kA), 1);
  begins(kB);
  EXPECT_EQ(maps_sent(lab, kB), 0);
}

TEST_F(TargetOfTwo, LeavesASourceThatHasBeenSilent) {
  lab.connect(kA, kC);
  lab.connect(kB, kC);
  lab.run();
  ASSERT_EQ(maps_sent(lab, kA), 1);
  lab.lose_mail = [](const Lab::Mail& letter) { return letter.from == kA && letter.send.to == kC; };
  lab.advance(milliseconds(2100));
  begins(kB);
  EXPECT_EQ(maps_sent(lab, kB), 1);
}

TEST_F(TargetOfTwo, LeavesASourceThatIsGone) {
  lab.connect(kA, kC);
  lab.connect(kB, kC);
  lab.run();
  lab.cut(kA, kC);
  begins(kB);
  EXPECT_GE(maps_sent(lab, kB), 1);
}

// Its own link to C was away for a while, and another one began.
TEST_F(TargetOfTwo, GoesOverToTheAuthorAtOnce) {
  lab.connect(kB, kC);
  lab.run();
  begins(kB);
  ASSERT_EQ(maps_sent(lab, kB), 1);
  lab.connect(kA, kC);
  lab.run();
  EXPECT_EQ(maps_sent(lab, kA), 1);
}

}  // namespace
}  // namespace lockstep
