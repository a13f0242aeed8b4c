#include "core/replica_impl.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool closed(Lab& lab, Seat seat, Reason reason) {
  const auto& closed = lab.node(seat).closed;
  return !closed.empty() && closed.back().reason == reason;
}
PeerHello hello_of(Lab& lab, Seat seat) {
  PeerHello hello;
  hello.node = seat;
  hello.boot = boot_of(seat);
  hello.disk = disk_of(seat);
  hello.size_bytes = kLabBytes;
  hello.disk_usable = true;
  hello.tenure = lab.node(kA).replica->record().adopted;
  return hello;
}

TEST(Links, AWitnessThatSpeaksOfReplicationBreaksTheProtocol) {
  Lab lab;
  lab.create();
  lab.inject(kW, kA, DropMe{});
  EXPECT_TRUE(closed(lab, kA, Reason::protocol_violation));
}

TEST(Links, ASecondHelloBreaksTheProtocol) {
  Lab lab;
  lab.create();
  lab.inject(kB, kA, hello_of(lab, kB));
  EXPECT_TRUE(closed(lab, kA, Reason::protocol_violation));
}

TEST(Links, AHelloOfAnotherNodeIsRefusedForGood) {
  Lab lab({.data_nodes = {kA, kB, kC}});
  lab.lose_mail = [](const Lab::Mail& l) { return l.from == kB && !std::holds_alternative<VoterHello>(l.send.message); };
  lab.connect(kA, kB);
  lab.run();
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.inject(kB, kA, hello_of(lab, kC));
  EXPECT_TRUE(closed(lab, kA, Reason::same_node_id));
  EXPECT_TRUE(lab.node(kA).closed.back().stand_alone);
  EXPECT_EQ(lab.show(kA).peers.at(0).refused, Reason::same_node_id);
}

TEST(Links, ATenureOfAnotherHistoryEndsTheLinkForGood) {
  Lab lab;
  lab.create();
  Tenure other = lab.node(kA).tenure();
  other.history = uuid(900);
  lab.inject(kB, kA, TenureDecided{other});
  EXPECT_TRUE(closed(lab, kA, Reason::different_history));
  EXPECT_TRUE(lab.node(kA).closed.back().stand_alone);
}

TEST(Links, MoreThanAPrimaryMayHaveInFlightBreaksTheProtocol) {
  Lab lab;
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<PeerHello>(letter.send.message); };
  lab.connect(kA, kB);
  lab.run();
  const PayloadId payload = lab.fresh_payload();
  for (int i = 0; i < 8192; ++i) lab.step(kA, MessageReceived{kB, lab.link(kA, kB), DropMe{}, {}});
  EXPECT_TRUE(lab.node(kA).closed.empty());
  lab.step(kA, MessageReceived{kB, lab.link(kA, kB), DropMe{}, payload});
  EXPECT_TRUE(closed(lab, kA, Reason::protocol_violation));
  EXPECT_EQ(lab.node(kA).released, std::vector<PayloadId>{payload});
}

TEST(Links, AMessageOfAnEarlierLinkIsDropped) {
  Lab lab;
  lab.create();
  const PayloadId payload = lab.fresh_payload();
  lab.step(kA, MessageReceived{kB, LinkId{12345}, DropMe{}, payload});
  lab.step(kA, LinkDown{kB, LinkId{12345}});
  EXPECT_EQ(lab.node(kA).released, std::vector<PayloadId>{payload});
  EXPECT_TRUE(lab.show(kA).peers.at(0).connected);
}

TEST(Links, ANewLinkEndsTheOneBefore) {
  Lab lab;
  lab.create();
  lab.connect(kA, kB);
  lab.run();
  EXPECT_TRUE(lab.node(kA).noted(Notice::peer_lost));
  EXPECT_TRUE(lab.show(kA).peers.at(0).connected);
}

TEST(Replica, MovesAndStartsAgainFromWhatIsDurable) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA, {3 * kExtentBytes, 4096});
  lab.kill(kA);
  lab.start(kA);
  EXPECT_EQ(lab.show(kA).dirty_blocks[kB.value], kBlocksPerExtent) << "what was hot may differ from the peer's copy";
  Replica moved = std::move(*lab.node(kA).replica);
  *lab.node(kA).replica = std::move(moved);
  EXPECT_EQ(lab.show(kA).role, Role::secondary);
}

// Words that a peer has adopted a tenure go on another lane than the greeting of voters, and this node's side of that may wait for its
// disk: what came before the meeting still counts when they meet (found by the simulator, seed 5640).
TEST(Links, ABlankPeerThatAdoptsBeforeTheMeetingIsLevelled) {
  Lab lab;
  lab.create();
  lab.kill(kB);
  lab.blank(kB);
  lab.promote(kA);
  lab.start(kB);
  lab.node(kA).hold_meta = true;  // that it met a new run of B's is being recorded
  lab.connect(kA, kB);
  lab.run();
  ASSERT_EQ(lab.node(kB).record.adopted->number, lab.node(kA).tenure().number);
  ASSERT_FALSE(lab.node(kA).noted(Notice::resync_started));
  // No later tenure that it would adopt too, and say so again.
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Prepare>(letter.send.message); };
  lab.node(kA).hold_meta = false;
  lab.run();
  EXPECT_TRUE(lab.node(kA).noted(Notice::resync_started));
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(2));
  EXPECT_TRUE(lab.node(kA).noted(Notice::resync_finished));
}

}  // namespace
}  // namespace lockstep
