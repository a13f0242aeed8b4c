#include "link_harness.h"

namespace lockstep {
namespace {

class LinkTest : public testing::TestWithParam<IoEngine> {
 protected:
  void SetUp() override {
    auto made = EventLoop::create(GetParam());
    if (!made.ok()) GTEST_SKIP() << "no such engine here";
    loop = std::move(made).value();
  }
  LinkSettings settings(uint8_t self, uint8_t peer, const char* key = "key") {
    LinkSettings s;
    s.resource = kResource;
    s.name = "r0";
    s.self = Seat{self};
    s.secret = secret(key);
    s.peers = {{Seat{peer}, self == 0 ? "beta" : "alpha", {{{"127.0.0.1", "0"}, {"127.0.0.1", "1"}}}}};
    s.ping_int = milliseconds(100);
    s.ping_timeout = milliseconds(100);
    s.connect_int = milliseconds(200);
    s.timeout = milliseconds(600);
    s.handshake_timeout = milliseconds(400);
    return s;
  }
  void start_lower(LinkSettings s) {
    lower = std::make_unique<LinkManager>(*loop, pool_lower, std::move(s), at_lower);
    ASSERT_TRUE(lower->start().ok());
    relay = std::make_unique<Relay>(*loop, lower->listening_at());
  }
  void start_upper(LinkSettings s) {
    s.peers[0].paths[0].where.port = std::to_string(relay->address().port());
    upper = std::make_unique<LinkManager>(*loop, pool_upper, std::move(s), at_upper);
    ASSERT_TRUE(upper->start().ok());
  }
  void start_both() {
    start_lower(settings(0, 1));
    start_upper(settings(1, 0));
    ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up; }));
  }
  template <class F>
  bool until(F condition, Duration longest = seconds(10)) {
    const Instant end = loop->now() + longest;
    while (!condition() && loop->now() < end) loop->run_once(milliseconds(20));
    return condition();
  }
  void run_for(Duration duration) {
    until([] { return false; }, duration);
  }

  std::unique_ptr<EventLoop> loop;
  BufferPool pool_lower{size_t{8} << 20};
  BufferPool pool_upper{size_t{8} << 20};
  Recorder at_lower;
  Recorder at_upper;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<LinkManager> lower;
  std::unique_ptr<LinkManager> upper;

  void TearDown() override {
    upper.reset();
    lower.reset();
    relay.reset();
    if (loop) loop->run_once({});
    at_lower.payloads.clear();
    at_upper.payloads.clear();
    loop.reset();
  }
};

TEST_P(LinkTest, CarriesMessagesAndPayloadsInOrder) {
  start_both();
  EXPECT_EQ(upper->status(Seat{0}).state, LinkState::connected);
  constexpr uint64_t kCount = 200;
  for (uint64_t i = 0; i < kCount; ++i) {
    const uint64_t length = i % 7 == 0 ? 262144 : 4096;
    ASSERT_TRUE(until([&] { return pool_upper.bytes_out() < (size_t{4} << 20); }));
    BufferRef payload = pool_upper.allocate(length);
    ASSERT_TRUE(payload);
    std::memset(payload->data(), static_cast<int>(i), length);
    ASSERT_TRUE(upper->send(Seat{0}, at_upper.link, write_of(i, length), std::move(payload)));
    ASSERT_TRUE(upper->send(Seat{0}, at_upper.link, WriteReply{{kResource, 1}, OpId{i}, IoStatus::ok}, {}));
    ASSERT_TRUE(until([&] { return at_lower.payloads.size() < 8 || at_lower.messages.size() >= 2 * i; }));
    if (at_lower.payloads.size() > 16) {
      for (auto& held : at_lower.payloads) {
        if (held && held->size() > 4096) held = {};
      }
    }
  }
  ASSERT_TRUE(until([&] { return at_lower.messages.size() == 2 * kCount; })) << at_lower.messages.size();
  uint64_t next = 0;
  for (size_t i = 0; i < at_lower.messages.size(); ++i) {
    const auto* write = std::get_if<WriteRequest>(&at_lower.messages[i]);
    if (write == nullptr) continue;
    EXPECT_EQ(write->op.value, next);
    if (at_lower.payloads[i]) {
      EXPECT_EQ(at_lower.payloads[i]->size(), write->range.length);
      EXPECT_EQ(at_lower.payloads[i]->data()[write->range.length - 1], static_cast<std::byte>(next));
    }
    ++next;
  }
  EXPECT_EQ(next, kCount);
  EXPECT_EQ(at_lower.downs, 0);
}

TEST_P(LinkTest, AnExhaustedPoolStopsReadingAndLosesNothing) {
  start_both();
  // Eight times the receiver's pool: it holds everything at first, then lets go.
  constexpr uint64_t kLength = size_t{1} << 20;
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(until([&] {
      if (at_lower.payloads.size() >= 4) at_lower.payloads.erase(at_lower.payloads.begin());
      return pool_upper.bytes_out() < (size_t{6} << 20);
    }));
    ASSERT_TRUE(upper->send(Seat{0}, at_upper.link, write_of(i, kLength), pool_upper.allocate(kLength)));
  }
  BufferRef hog = pool_lower.allocate(size_t{4} << 20);
  ASSERT_TRUE(until([&] {
    if (!at_lower.payloads.empty()) at_lower.payloads.erase(at_lower.payloads.begin());
    return at_lower.messages.size() == 20;
  }));
  EXPECT_EQ(at_lower.downs, 0);
}

// Whatever of the handshake has been done by then.
TEST_P(LinkTest, APeerThatIsTakenOutWhileItComesIn) {
  for (int turns = 0; turns < 60; ++turns) {
    at_lower = Recorder();
    at_upper = Recorder();
    start_lower(settings(0, 1));
    start_upper(settings(1, 0));
    for (int i = 0; i < turns; ++i) loop->run_once(milliseconds(2));
    lower->set_peers({});
    EXPECT_FALSE(at_lower.up);
    run_for(milliseconds(30));
    EXPECT_FALSE(at_lower.up);
    upper.reset();
    lower.reset();
    relay.reset();
  }
}

TEST_P(LinkTest, LosingOneLaneLosesTheLinkAndItComesBack) {
  start_both();
  const LinkId first = at_upper.link;
  relay->drop(1);
  ASSERT_TRUE(until([&] { return at_upper.downs == 1 && at_lower.downs == 1; }));
  ASSERT_TRUE(until([&] { return at_upper.up && at_lower.up; }));
  EXPECT_GT(at_upper.link, first);
  EXPECT_FALSE(upper->send(Seat{0}, first, FlushRequest{}, {}));
}

TEST_P(LinkTest, AnIdleLinkStaysUp) {
  start_both();
  run_for(milliseconds(700));
  EXPECT_EQ(at_upper.downs + at_lower.downs, 0);
}

TEST_P(LinkTest, AHalfOpenPeerIsNoticedWithinPingIntAndPingTimeout) {
  start_both();
  relay->deaf = true;
  const Instant cut = loop->now();
  ASSERT_TRUE(until([&] { return !at_upper.up && !at_lower.up; }));
  EXPECT_LT(loop->now() - cut, milliseconds(200 + 400));
  EXPECT_NE(at_upper.why.find("ping-timeout"), std::string::npos) << at_upper.why;
  EXPECT_NE(at_lower.why.find("ping-timeout"), std::string::npos) << at_lower.why;
  relay->deaf = false;
  ASSERT_TRUE(until([&] { return at_upper.up && at_lower.up; }));
}

TEST_P(LinkTest, AWrongSecretIsSaidOnBothSidesOnce) {
  start_lower(settings(0, 1));
  start_upper(settings(1, 0, "another key"));
  ASSERT_TRUE(until([&] { return !at_upper.refusals.empty() && !at_lower.refusals.empty(); }));
  run_for(milliseconds(600));
  EXPECT_EQ(at_upper.ups, 0);
  EXPECT_EQ(at_upper.refusals.size(), 1u);
  EXPECT_EQ(at_lower.refusals.size(), 1u);
  EXPECT_NE(at_upper.refusals[0].find("alpha refused: wrong secret"), std::string::npos) << at_upper.refusals[0];
  EXPECT_NE(at_lower.refusals[0].find("wrong secret"), std::string::npos) << at_lower.refusals[0];
  EXPECT_EQ(upper->status(Seat{0}).state, LinkState::connecting);
  EXPECT_FALSE(upper->status(Seat{0}).last_error.empty());
}

TEST_P(LinkTest, AnotherResourceVersionOrNodeIdIsRefused) {
  start_lower(settings(0, 1));
  auto other = settings(1, 0);
  other.resource = Uuid::from_words(9, 9);
  start_upper(other);
  ASSERT_TRUE(until([&] { return at_upper.refusals.size() == 1; }));
  EXPECT_NE(at_upper.refusals[0].find("another resource"), std::string::npos) << at_upper.refusals[0];
  upper.reset();
  other = settings(1, 0);
  other.versions = {7, 8};
  start_upper(other);
  ASSERT_TRUE(until([&] { return at_upper.refusals.size() == 2; }));
  EXPECT_NE(at_upper.refusals[1].find("protocol"), std::string::npos) << at_upper.refusals[1];
  upper.reset();
  start_upper(settings(5, 0));
  ASSERT_TRUE(until([&] { return at_upper.refusals.size() == 3; }));
  EXPECT_NE(at_upper.refusals[2].find("node-id"), std::string::npos) << at_upper.refusals[2];
  EXPECT_EQ(at_upper.ups + at_lower.ups, 0);
}

TEST_P(LinkTest, ARestartedPeerReplacesItsOldLink) {
  start_both();
  upper.reset();
  at_upper = Recorder();
  relay->deaf = false;
  start_upper(settings(1, 0));
  ASSERT_TRUE(until([&] { return at_upper.up && at_lower.up && at_lower.ups == 2; }));
  EXPECT_EQ(at_lower.downs, 1);
}

TEST_P(LinkTest, StandAloneLastsUntilConnect) {
  start_both();
  lower->set_stand_alone(Seat{1}, "operator");
  ASSERT_TRUE(until([&] { return !at_upper.up && !at_lower.up; }));
  run_for(milliseconds(500));
  EXPECT_EQ(at_upper.ups, 1);
  EXPECT_EQ(lower->status(Seat{1}).state, LinkState::stand_alone);
  ASSERT_EQ(at_upper.refusals.size(), 1u);
  EXPECT_EQ(at_upper.refusals[0], "alpha is StandAlone towards this node: lockstep connect r0 on alpha");
  EXPECT_EQ(upper->status(Seat{0}).refusal, at_upper.refusals[0]);
  lower->connect(Seat{1});
  ASSERT_TRUE(until([&] { return at_upper.up && at_lower.up; }));

  upper->set_stand_alone(Seat{0}, "operator");
  ASSERT_TRUE(until([&] { return !at_upper.up && !at_lower.up; }));
  ASSERT_TRUE(until([&] { return !at_lower.refusals.empty(); })) << "the one to call does not say that it won't";
  EXPECT_EQ(at_lower.refusals[0], "beta is StandAlone towards this node: lockstep connect r0 on beta");
  EXPECT_EQ(lower->status(Seat{1}).refusal, at_lower.refusals[0]);
  run_for(milliseconds(300));
  EXPECT_EQ(at_lower.refusals.size(), 1u);
  EXPECT_EQ(at_upper.ups, 2);
  EXPECT_EQ(upper->status(Seat{0}).state, LinkState::stand_alone);
  upper->connect(Seat{0});
  ASSERT_TRUE(until([&] { return at_upper.up && at_lower.up; }));
  EXPECT_EQ(lower->status(Seat{1}).refusal, "");
}

TEST_P(LinkTest, TwoThatAreStandAloneStaySo) {
  start_both();
  lower->set_stand_alone(Seat{1}, "operator");
  upper->set_stand_alone(Seat{0}, "operator");
  run_for(milliseconds(500));
  EXPECT_EQ(at_upper.refusals.size() + at_lower.refusals.size(), 0u);
  upper->connect(Seat{0});
  ASSERT_TRUE(until([&] { return !at_upper.refusals.empty(); }));
  lower->connect(Seat{1});
  ASSERT_TRUE(until([&] { return at_upper.up && at_lower.up; }));
}

TEST_P(LinkTest, CloseByTheOwnerIsToldOnceAndReconnects) {
  start_both();
  const LinkId first = at_lower.link;
  lower->close(Seat{1}, first, "core said so");
  EXPECT_EQ(at_lower.downs, 0) << "told from within the call";
  lower->close(Seat{1}, first, "again");
  ASSERT_TRUE(until([&] { return at_lower.ups == 2 && at_upper.ups == 2; }));
  EXPECT_EQ(at_lower.downs, 1);
  EXPECT_EQ(at_lower.why, "core said so");
}

TEST_P(LinkTest, AFullQueueClosesTheLink) {
  start_lower(settings(0, 1));
  auto bounded = settings(1, 0);
  bounded.max_queue_bytes = size_t{2} << 20;
  start_upper(bounded);
  ASSERT_TRUE(until([&] { return at_lower.up && at_upper.up; }));
  bool sent = true;
  for (uint64_t i = 0; i < 4 && sent; ++i) {
    sent = upper->send(Seat{0}, at_upper.link, write_of(i, 1 << 20), pool_upper.allocate(1 << 20));
  }
  EXPECT_FALSE(sent);
  ASSERT_TRUE(until([&] { return at_upper.downs == 1; }));
}

TEST_P(LinkTest, ADeadNameOrAddressIsTriedAgain) {
  auto s = settings(1, 0);
  s.peers[0].paths[0].where = {"127.0.0.1", "1"};
  upper = std::make_unique<LinkManager>(*loop, pool_upper, s, at_upper);
  ASSERT_TRUE(upper->start().ok());
  ASSERT_TRUE(until([&] { return !upper->status(Seat{0}).last_error.empty(); }));
  upper.reset();
  s.peers[0].paths[0].where = {"no-such-host.invalid", "7800"};
  upper = std::make_unique<LinkManager>(*loop, pool_upper, s, at_upper);
  ASSERT_TRUE(upper->start().ok());
  ASSERT_TRUE(until([&] { return !upper->status(Seat{0}).last_error.empty(); }));
}

// A TCP connection that says nothing, from an address of its own choice on this machine.
UniqueFd stranger(const SocketAddress& to, const char* from) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto here = resolve_now({from, "0"}, true);
  EXPECT_EQ(::bind(fd.get(), here.at(0).get(), here.at(0).length), 0);
  EXPECT_EQ(::connect(fd.get(), to.get(), to.length), 0);
  return fd;
}

bool hung_up(const UniqueFd& fd) {
  char byte = 0;
  const ssize_t got = ::recv(fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN);
}

TEST_P(LinkTest, ACrowdThatSaysNothingDoesNotKeepThePeerOut) {
  auto patient = settings(0, 1);
  patient.handshake_timeout = seconds(600);  // the crowd is not gone before the test is over
  start_lower(patient);
  std::vector<UniqueFd> crowd;
  for (int i = 0; i < 200; ++i) {
    crowd.push_back(stranger(lower->listening_at(), "127.0.0.2"));
    if (i % 32 == 0) loop->run_once({});
  }
  ASSERT_TRUE(until([&] { return hung_up(crowd[100]); }));
  EXPECT_FALSE(hung_up(crowd.back()));
  EXPECT_FALSE(at_lower.refusals.empty());
  start_upper(settings(1, 0));
  EXPECT_TRUE(until([&] { return at_lower.up && at_upper.up; }));
}

TEST_P(LinkTest, StrangersGiveWayBeforeCallersFromAPeersAddress) {
  auto patient = settings(0, 1);
  patient.handshake_timeout = seconds(600);
  start_lower(patient);
  const UniqueFd from_peer = stranger(lower->listening_at(), "127.0.0.1");
  std::vector<UniqueFd> crowd;
  for (int i = 0; i < 300; ++i) {
    crowd.push_back(stranger(lower->listening_at(), "127.0.0.2"));
    if (i % 32 == 0) loop->run_once({});
  }
  ASSERT_TRUE(until([&] { return hung_up(crowd[200]); }));
  EXPECT_FALSE(hung_up(from_peer));
  std::vector<UniqueFd> many;  // but they are bounded too
  for (int i = 0; i < 80; ++i) many.push_back(stranger(lower->listening_at(), "127.0.0.1"));
  EXPECT_TRUE(until([&] { return hung_up(from_peer) && hung_up(crowd.back()); }));
  const UniqueFd late = stranger(lower->listening_at(), "127.0.0.2");
  EXPECT_TRUE(until([&] { return hung_up(late); }));
  EXPECT_FALSE(hung_up(many.back()));
}

TEST(Address, MappedIPv4IsNamedAsIPv4) {
  const auto mapped = resolve_now({"::ffff:10.1.1.32", "7800"}, true);
  ASSERT_EQ(mapped.size(), 1u);
  EXPECT_EQ(mapped[0].host(), "10.1.1.32");
  EXPECT_EQ(mapped[0].to_string(), "10.1.1.32:7800");
}

TEST(Address, IsReadAsTheConfigurationWritesIt) {
  EXPECT_EQ(split_host_port("10.1.1.31:7800")->host, "10.1.1.31");
  EXPECT_EQ(split_host_port("[::1]:7800")->host, "::1");
  EXPECT_EQ(split_host_port(":7799")->host, "");
  EXPECT_EQ(split_host_port("beta.example:1")->port, "1");
  for (const char* bad : {"", "host", "host:", "host:x", "host:65536", "::1:7800", "host:123456"}) {
    EXPECT_FALSE(split_host_port(bad)) << bad;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, LinkTest, testing::Values(IoEngine::io_uring, IoEngine::libaio),
                         [](const auto& engine) { return engine.param == IoEngine::io_uring ? "io_uring" : "libaio"; });

}  // namespace
}  // namespace lockstep
