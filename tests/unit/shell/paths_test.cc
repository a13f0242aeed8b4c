// Links that go over several paths: through relays in between, each of which is one path.
#include <algorithm>
#include <random>

#include "link_harness.h"

namespace lockstep {
namespace {

class PathsTest : public testing::TestWithParam<IoEngine> {
 protected:
  void SetUp() override {
    auto made = EventLoop::create(GetParam());
    if (!made.ok()) GTEST_SKIP() << "no such engine here";
    loop = std::move(made).value();
  }
  void TearDown() override {
    upper.reset();
    lower.reset();
    relays.clear();
    if (loop) loop->run_once({});
    at_lower.payloads.clear();
    at_upper.payloads.clear();
    loop.reset();
  }
  LinkSettings settings(uint8_t self) const {
    LinkSettings s;
    s.resource = kResource;
    s.name = "r0";
    s.self = Seat{self};
    s.secret = secret("key");
    s.peers = {{Seat{static_cast<uint8_t>(1 - self)}, self == 0 ? "beta" : "alpha", {}}};
    s.ping_int = milliseconds(100);
    s.ping_timeout = milliseconds(600);  // a busy machine may sleep for long
    s.connect_int = milliseconds(100);
    s.timeout = milliseconds(2000);
    s.handshake_timeout = milliseconds(1000);
    return s;
  }
  // `control_only`: of the last path.
  void start_lower(size_t paths, bool control_only = false) {
    LinkSettings s = settings(0);
    s.features = features_of_lower;
    for (size_t i = 0; i < paths; ++i)
      s.peers[0].paths.push_back({{"127.0.0." + std::to_string(i + 1), "0"}, {"127.0.0.1", "1"}, control_only && i + 1 == paths});
    lower = std::make_unique<LinkManager>(*loop, pool_lower, std::move(s), at_lower);
    ASSERT_TRUE(lower->start().ok());
    for (size_t i = 0; i < paths; ++i) relays.push_back(std::make_unique<Relay>(*loop, lower->listening_at(i)));
  }
  void start_upper(size_t paths, bool control_only = false) {
    LinkSettings s = settings(1);
    for (size_t i = 0; i < paths; ++i) {
      const size_t relay = std::min(i, relays.size() - 1);
      const HostPort where{"127.0.0.1", std::to_string(relays[relay]->address().port())};
      s.peers[0].paths.push_back({{"127.0.0.1", "0"}, where, control_only && i + 1 == paths, true});
    }
    upper = std::make_unique<LinkManager>(*loop, pool_upper, std::move(s), at_upper);
    ASSERT_TRUE(upper->start().ok());
  }
  void start_both(size_t paths, bool control_only = false) {
    start_lower(paths, control_only);
    start_upper(paths, control_only);
    ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up && all_stand(); })) << upper->status(Seat{0}).last_error;
  }
  template <class F>
  bool until(F condition, Duration longest = seconds(20)) {
    const Instant end = loop->now() + longest;
    while (!condition() && loop->now() < end) loop->run_once(milliseconds(10));
    return condition();
  }
  void run_for(Duration duration) {
    until([] { return false; }, duration);
  }
  uint64_t features_of_lower = kFeatures;
  std::vector<PathStatus> paths(const LinkManager& of) const {
    return of.status(Seat{&of == upper.get() ? uint8_t{0} : uint8_t{1}}).paths;
  }
  bool all_stand() const {
    for (const auto* end : {lower.get(), upper.get()}) {
      for (const PathStatus& path : paths(*end)) {
        if (!path.standing) return false;
      }
    }
    return true;
  }
  bool goes_over(size_t path) const {
    return paths(*upper)[path].carries_data && paths(*upper)[path].carries_control && paths(*lower)[path].carries_data &&
           paths(*lower)[path].carries_control;
  }
  // One message of each lane from each end: writes with a payload that tells their number, and replies.
  void say_more() {
    for (const bool up : {false, true}) {
      LinkManager& from = up ? *upper : *lower;
      Recorder& at = up ? at_upper : at_lower;
      BufferPool& pool = up ? pool_upper : pool_lower;
      BufferRef payload = pool.allocate(4096);
      ASSERT_TRUE(payload);
      std::memset(payload->data(), static_cast<int>(said), 4096);
      const Seat to{static_cast<uint8_t>(up ? 0 : 1)};
      ASSERT_TRUE(from.send(to, at.link, write_of(said, 4096), std::move(payload)));
      ASSERT_TRUE(from.send(to, at.link, WriteReply{{kResource, 1}, OpId{said}, IoStatus::ok}, {}));
    }
    ++said;
  }
  std::string all_changes() const {
    std::string out;
    for (const Recorder* at : {&at_lower, &at_upper}) {
      for (const std::string& change : at->changes) out += change + "\n";
    }
    return out;
  }
  bool all_heard() const { return at_lower.messages.size() == 2 * said && at_upper.messages.size() == 2 * said; }
  // Each once and in order, in each lane.
  static void expect_in_order(const Recorder& at, uint64_t count) {
    uint64_t writes = 0, replies = 0;
    for (size_t i = 0; i < at.messages.size(); ++i) {
      if (const auto* write = std::get_if<WriteRequest>(&at.messages[i])) {
        ASSERT_EQ(write->op.value, writes++);
        ASSERT_EQ(at.payloads[i]->data()[4095], static_cast<std::byte>(write->op.value));
      } else {
        ASSERT_EQ(std::get<WriteReply>(at.messages[i]).op.value, replies++);
      }
    }
    EXPECT_EQ(writes, count);
    EXPECT_EQ(replies, count);
  }

  std::unique_ptr<EventLoop> loop;
  BufferPool pool_lower{size_t{64} << 20};
  BufferPool pool_upper{size_t{64} << 20};
  Recorder at_lower;
  Recorder at_upper;
  std::vector<std::unique_ptr<Relay>> relays;
  std::unique_ptr<LinkManager> lower;
  std::unique_ptr<LinkManager> upper;
  uint64_t said = 0;
};

TEST_P(PathsTest, LosingAPathIsNotADisconnectAndTheLanesReturnToIt) {
  start_both(2);
  ASSERT_TRUE(until([&] { return goes_over(0); }));
  for (int i = 0; i < 50; ++i) say_more();
  relays[0]->drop();
  for (int i = 0; i < 50; ++i) say_more();
  ASSERT_TRUE(until([&] { return goes_over(1); }));
  ASSERT_TRUE(until([&] { return all_heard(); }));
  ASSERT_TRUE(until([&] { return all_stand() && goes_over(0); }));
  for (int i = 0; i < 50; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  expect_in_order(at_lower, said);
  expect_in_order(at_upper, said);
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
  EXPECT_FALSE(at_upper.changes.empty());
}

// Half-open: nothing says that it is gone but silence.
TEST_P(PathsTest, ASilentPathIsLeftForAnother) {
  start_both(2);
  ASSERT_TRUE(until([&] { return goes_over(0); }));
  relays[0]->deaf = true;
  for (int i = 0; i < 20; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  ASSERT_TRUE(until([&] { return !paths(*upper)[0].standing && !paths(*lower)[0].standing; }));
  relays[0]->drop();
  relays[0]->deaf = false;
  for (int i = 0; i < 20; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard() && all_stand() && goes_over(0); }));
  expect_in_order(at_lower, said);
  expect_in_order(at_upper, said);
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
}

// Whatever happens to a path, and whenever, while another stands.
TEST_P(PathsTest, PathsThatComeAndGoLoseAndRepeatNothing) {
  start_both(3);
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(until([&] { return all_stand(); }));
    const size_t hit = random() % 3;
    const size_t other = (hit + 1 + random() % 2) % 3;
    const auto after = static_cast<int>(random() % 10);
    for (int i = 0; i < after; ++i) say_more();
    for (const size_t path : {hit, other}) {
      Relay& relay = *relays[path];
      relay.deaf = random() % 3 == 0;
      if (!relay.deaf) relay.drop(random() % 2 == 0 ? SIZE_MAX : relay.pairs() - 1);
      for (int i = 0; i < 5; ++i) say_more();
      run_for(milliseconds(static_cast<int64_t>(random() % 30)));
    }
    for (int i = 0; i < 5; ++i) say_more();
    ASSERT_TRUE(until([&] { return all_heard(); })) << round << ": " << at_lower.why << " / " << at_upper.why << '\n'
                                                    << all_changes();
    for (const auto& relay : relays) {
      if (relay->deaf) relay->drop();
      relay->deaf = false;
    }
    run_for(milliseconds(50));  // until both ends have seen that
  }
  expect_in_order(at_lower, said);
  expect_in_order(at_upper, said);
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
}

TEST_P(PathsTest, LosingAllPathsIsADisconnectAndTheNextLinkIsAnother) {
  start_both(2);
  const LinkId first = at_upper.link;
  for (int i = 0; i < 20; ++i) say_more();
  for (const auto& relay : relays) relay->drop();
  ASSERT_TRUE(until([&] { return at_lower.downs == 1 && at_upper.downs == 1; }));
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up && all_stand(); }));
  EXPECT_GT(at_upper.link, first);
  at_lower.messages.clear();
  at_upper.messages.clear();
  at_lower.payloads.clear();
  at_upper.payloads.clear();
  said = 0;
  for (int i = 0; i < 20; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  expect_in_order(at_lower, said);
}

TEST_P(PathsTest, APeerThatHangsIsNoticedThoughAllItsPathsStand) {
  start_both(2);
  for (const auto& relay : relays) relay->deaf = true;
  ASSERT_TRUE(until([&] { return at_lower.downs == 1 && at_upper.downs == 1; }));
}

TEST_P(PathsTest, TheLinkIsOverOnBothSidesWhenOneEndsIt) {
  start_both(2);
  for (int i = 0; i < 5; ++i) say_more();
  lower->close(Seat{1}, at_lower.link, "enough");
  ASSERT_TRUE(until([&] { return at_lower.ups == 2 && at_upper.ups == 2 && all_stand(); }));
  EXPECT_EQ(at_upper.downs, 1);
  EXPECT_TRUE(at_lower.refusals.empty());
  EXPECT_TRUE(at_upper.refusals.empty());
}

TEST_P(PathsTest, ControlHasAPathOfItsOwn) {
  start_both(2, true);
  EXPECT_TRUE(paths(*upper)[0].carries_data);
  ASSERT_TRUE(until([&] { return paths(*upper)[1].carries_control && paths(*lower)[1].carries_control; }));
  EXPECT_FALSE(paths(*upper)[1].carries_data);
  for (int i = 0; i < 20; ++i) say_more();
  relays[1]->drop();
  for (int i = 0; i < 20; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  ASSERT_TRUE(until([&] { return all_stand(); }));
  expect_in_order(at_lower, said);
  expect_in_order(at_upper, said);
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
  relays[0]->drop();  // nothing is left for data
  ASSERT_TRUE(until([&] { return at_lower.downs == 1 && at_upper.downs == 1; }));
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up && all_stand(); }));
}

TEST_P(PathsTest, APathThatOnlyOneSideHasIsSaidAndTheLinkGoesOverTheOthers) {
  start_lower(1);
  start_upper(2);
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up; }));
  ASSERT_TRUE(until([&] { return paths(*upper)[1].last_error.find("no path 1") != std::string::npos; }))
      << paths(*upper)[1].last_error;
  for (int i = 0; i < 5; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
}

TEST_P(PathsTest, TheOtherSideMayHaveMore) {
  start_lower(2);
  start_upper(1);
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up; }));
  for (int i = 0; i < 5; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  relays[0]->drop();
  ASSERT_TRUE(until([&] { return at_lower.downs == 1 && at_upper.downs == 1; }));
}

// A release that knows no sessions takes each pair for another link.
TEST_P(PathsTest, APeerThatKnowsNoPathsIsGivenOne) {
  features_of_lower = 0;
  start_lower(2);
  start_upper(2);
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up; }));
  int settled = 0;  // both may have been on their way
  ASSERT_TRUE(until([&] {
    settled = at_lower.ups;
    run_for(milliseconds(600));
    return at_lower.ups == settled && at_lower.up && at_upper.up;
  }));
  for (int i = 0; i < 5; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  EXPECT_EQ(at_lower.ups, settled);
  for (const auto& relay : relays) relay->drop();
  ASSERT_TRUE(until([&] { return at_lower.ups > settled && at_lower.up && at_upper.up; }));
}

// Only large frames are lost on the way, say: the path speaks, and nothing gets through on one lane.
TEST_P(PathsTest, ALaneThatIsStuckLeavesAPathThatSpeaks) {
  start_both(2);
  ASSERT_TRUE(until([&] { return goes_over(0); }));
  relays[0]->mute(relays[0]->pairs() - 1);  // data is dialed last
  for (int i = 0; i < 20; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
  EXPECT_NE(all_changes().find("is left for another"), std::string::npos);
  EXPECT_EQ(all_changes().find("is lost"), std::string::npos) << all_changes();
  expect_in_order(at_lower, said);
  expect_in_order(at_upper, said);
}

// Silence is no fault where nothing is said.
TEST_P(PathsTest, AnIdleLinkKeepsItsPaths) {
  start_both(3, true);
  ASSERT_TRUE(until([&] { return paths(*upper)[2].carries_control && paths(*lower)[2].carries_control; }));
  const size_t before = at_lower.changes.size() + at_upper.changes.size();
  run_for(milliseconds(1500));
  EXPECT_EQ(at_lower.changes.size() + at_upper.changes.size(), before) << all_changes();
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
}

// Both paths are doubtful then, which is no reason to send everything again and again.
TEST_P(PathsTest, AReceiverThatHasNoRoomIsWaitedFor) {
  start_both(2);
  ASSERT_TRUE(until([&] { return goes_over(0); }));
  constexpr uint64_t kLength = size_t{64} << 10;  // all of it has room in the kernel's buffers: the relay does not wait
  BufferRef hog = pool_lower.allocate((size_t{64} << 20) - kLength);
  ASSERT_TRUE(hog);
  for (uint64_t i = 0; i < 8; ++i)
    ASSERT_TRUE(upper->send(Seat{0}, at_upper.link, write_of(i, kLength), pool_upper.allocate(kLength)));
  run_for(milliseconds(1500));
  EXPECT_LE(upper->status(Seat{0}).queued_bytes, 9 * kLength);
  hog = {};
  ASSERT_TRUE(until([&] { return at_lower.messages.size() == 8; }));
  EXPECT_EQ(at_lower.downs + at_upper.downs, 0);
}

TEST_P(PathsTest, StandAloneIsSaidOnceAndLastsUntilConnect) {
  start_both(2);
  lower->set_stand_alone(Seat{1}, "an operator's wish");
  ASSERT_TRUE(until([&] { return at_lower.downs == 1 && at_upper.downs == 1; }));
  ASSERT_TRUE(until([&] { return !upper->status(Seat{0}).refusal.empty(); }));
  run_for(milliseconds(500));
  EXPECT_EQ(at_upper.refusals.size(), 1U);
  EXPECT_NE(upper->status(Seat{0}).refusal.find("StandAlone"), std::string::npos);
  lower->connect(Seat{1});
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up && all_stand(); }));
  upper->set_stand_alone(Seat{0}, "another's");
  ASSERT_TRUE(until([&] { return at_lower.downs == 2 && !lower->status(Seat{1}).refusal.empty(); }));
  upper->connect(Seat{0});
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up && all_stand(); }));
}

TEST_P(PathsTest, AWrongSecretIsSaidOnceThoughThereAreTwoWaysToSayIt) {
  start_lower(2);
  LinkSettings s = settings(1);
  s.secret = secret("another");
  for (const auto& relay : relays)
    s.peers[0].paths.push_back({{"127.0.0.1", "0"}, {"127.0.0.1", std::to_string(relay->address().port())}});
  upper = std::make_unique<LinkManager>(*loop, pool_upper, std::move(s), at_upper);
  ASSERT_TRUE(upper->start().ok());
  ASSERT_TRUE(until([&] { return !at_upper.refusals.empty(); }));
  run_for(milliseconds(700));
  EXPECT_EQ(at_upper.refusals.size(), 1U);
  EXPECT_FALSE(upper->status(Seat{0}).refusal.empty());
}

// The configurations of the two ends change one after the other, while they talk.
TEST_P(PathsTest, APathIsAddedToAndTakenFromALinkThatIsUsed) {
  start_both(2);
  auto one = settings(1).peers;
  one[0].paths = {{{"127.0.0.1", "0"}, {"127.0.0.1", std::to_string(relays[0]->address().port())}}};
  upper->set_peers(one);
  EXPECT_EQ(at_upper.downs, 1);
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up && at_lower.ups == 2; }));
  auto two = one;
  two[0].paths.push_back({{"127.0.0.1", "0"}, {"127.0.0.1", std::to_string(relays[1]->address().port())}});
  upper->set_peers(two);
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up && all_stand(); }));
  for (int i = 0; i < 5; ++i) say_more();
  ASSERT_TRUE(until([&] { return all_heard(); }));
  EXPECT_TRUE(at_lower.refusals.empty());
}

// The other end has ended the link, and one path does not say so.
TEST_P(PathsTest, ASilentPathDoesNotKeepALinkThatTheOtherEndHasEnded) {
  start_both(2);
  ASSERT_TRUE(until([&] { return goes_over(0); }));
  relays[1]->deaf = true;
  lower->close(Seat{1}, at_lower.link, "enough");
  ASSERT_TRUE(until([&] { return at_upper.downs == 1 && at_lower.ups == 2 && at_upper.ups == 2; }));
  EXPECT_TRUE(at_upper.refusals.empty());
  EXPECT_TRUE(at_lower.refusals.empty());
}

TEST_P(PathsTest, PathsInAnotherOrderAreSaid) {
  start_lower(2);
  std::swap(relays[0], relays[1]);
  start_upper(2);
  ASSERT_TRUE(until([&] { return !at_lower.changes.empty(); }));
  EXPECT_NE(at_lower.changes[0].find("in another order"), std::string::npos) << at_lower.changes[0];
  EXPECT_FALSE(at_lower.up);
}

TEST_P(PathsTest, AnAddressThatIsNotThereKeepsOnlyItsOwnPathAway) {
  LinkSettings s = settings(0);
  s.peers[0].paths = {{{"203.0.113.77", "7800"}, {"127.0.0.1", "1"}}, {{"127.0.0.1", "0"}, {"127.0.0.1", "1"}}};
  lower = std::make_unique<LinkManager>(*loop, pool_lower, s, at_lower);
  ASSERT_TRUE(lower->start().ok());
  EXPECT_NE(paths(*lower)[0].last_error.find("cannot listen on 203.0.113.77:7800"), std::string::npos)
      << paths(*lower)[0].last_error;
  s.peers[0].paths.pop_back();
  LinkManager none(*loop, pool_lower, s, at_upper);
  EXPECT_FALSE(none.start().ok());
  EXPECT_EQ(none.refused_address(), (HostPort{"203.0.113.77", "7800"}));
}

INSTANTIATE_TEST_SUITE_P(Engines, PathsTest, testing::Values(IoEngine::io_uring, IoEngine::libaio),
                         [](const auto& engine) { return engine.param == IoEngine::io_uring ? "io_uring" : "libaio"; });

}  // namespace
}  // namespace lockstep
