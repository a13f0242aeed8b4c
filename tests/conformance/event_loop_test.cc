// The contract of shell/event_loop.h apart from disks, for both engines.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "loop_fixture.h"
#include "shell/loop/signals.h"
#include "shell/loop/unique_fd.h"

namespace lockstep::conformance {
namespace {

class Handler : public FdHandler {
 public:
  explicit Handler(std::function<void(uint32_t)> call) : call_(std::move(call)) {}
  void on_ready(uint32_t events) override { call_(events); }

 private:
  std::function<void(uint32_t)> call_;
};

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};

SocketPair make_pair_of_sockets() {
  std::array<int, 2> fds{-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

class EventLoopTest : public testing::TestWithParam<IoEngine> {
 protected:
  void SetUp() override {
    std::string why;
    loop_ = make_loop(GetParam(), why);
    if (loop_ == nullptr) GTEST_SKIP() << why;
  }
  // Turns that find nothing to wait for, to show that something does not happen.
  void some_turns() {
    for (int i = 0; i < 5; ++i) loop_->run_once(milliseconds(2));
  }
  std::unique_ptr<EventLoop> loop_;
};

TEST_P(EventLoopTest, TimersRunInOrderOfTimeThenOfSetting) {
  std::vector<int> ran;
  const Instant start = loop_->now();
  loop_->call_at(start + milliseconds(20), [&ran] { ran.push_back(3); });
  loop_->call_at(start + milliseconds(10), [&ran] { ran.push_back(1); });
  loop_->call_at(start + milliseconds(10), [&ran] { ran.push_back(2); });
  loop_->call_at(kLongAgo, [&ran] { ran.push_back(0); });
  loop_->call_at(kNever, [&ran] { ran.push_back(99); });
  ASSERT_TRUE(run_until(*loop_, [&ran] { return ran.size() == 4; }));
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_GE((loop_->now() - start).ns, milliseconds(20).ns);
}

TEST_P(EventLoopTest, CancelledTimersDoNotRun) {
  std::vector<int> ran;
  const Instant start = loop_->now();
  std::vector<TimerId> timers;
  for (int i = 0; i < 200; ++i) {
    timers.push_back(loop_->call_at(start + microseconds((i * 37) % 1000), [&ran, i] { ran.push_back(i); }));
  }
  for (size_t i = 0; i < timers.size(); ++i) {
    if (i % 3 != 0) loop_->cancel(timers[i]);
  }
  // A timer that cancels another one due at the same moment.
  TimerId victim;
  loop_->call_at(start + milliseconds(5), [&] { loop_->cancel(victim); });
  victim = loop_->call_at(start + milliseconds(5), [&ran] { ran.push_back(1000); });
  bool over = false;
  loop_->call_at(start + milliseconds(10), [&over] { over = true; });
  ASSERT_TRUE(run_until(*loop_, [&over] { return over; }));
  EXPECT_EQ(ran.size(), 67U);
  for (size_t i = 0; i < ran.size(); ++i) {
    EXPECT_EQ(ran[i] % 3, 0);
    if (i > 0) {
      EXPECT_LT((ran[i - 1] * 37) % 1000, (ran[i] * 37) % 1000);
    }
  }
  for (TimerId timer : timers) loop_->cancel(timer);  // over, all of them
  loop_->cancel(TimerId{});
  bool later = false;
  loop_->call_at(loop_->now(), [&later] { later = true; });  // in a slot that the old ids named
  loop_->cancel(timers.front());
  ASSERT_TRUE(run_until(*loop_, [&later] { return later; }));
}

TEST_P(EventLoopTest, TimerThatSetsItselfDoesNotHoldUpTheLoop) {
  int times = 0;
  std::function<void()> again = [&] {
    if (++times < 1000) loop_->call_at(kLongAgo, again);
  };
  loop_->call_at(kLongAgo, again);
  loop_->run_once(milliseconds(1));
  EXPECT_EQ(times, 1);
  ASSERT_TRUE(run_until(*loop_, [&times] { return times == 1000; }));
}

TEST_P(EventLoopTest, WaitsAsLongAsToldAndNotMuchLonger) {
  // A wait may end early (a signal; the kernel taking the ring of an earlier test apart), but not every time.
  Duration longest;
  for (int attempt = 0; attempt < 20 && longest < milliseconds(29); ++attempt) {
    const Instant start = loop_->now();
    loop_->run_once(milliseconds(30));
    longest = std::max(longest, loop_->now() - start);
  }
  EXPECT_GE(longest.ns, milliseconds(29).ns);
  EXPECT_LT(longest.ns, seconds(10).ns);
}

TEST_P(EventLoopTest, PostsFromOtherThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::array<std::vector<int>, kThreads> got;
  const std::thread::id here = std::this_thread::get_id();
  bool elsewhere = false;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop_->post([&, t, i] {
          got[t].push_back(i);
          if (std::this_thread::get_id() != here) elsewhere = true;
        });
      }
    });
  }
  EXPECT_TRUE(run_until(*loop_, [&got] {
    for (const auto& one : got) {
      if (one.size() < kEach) return false;
    }
    return true;
  }));
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(elsewhere);
  for (const auto& one : got) {
    for (size_t i = 0; i < one.size(); ++i) ASSERT_EQ(one[i], static_cast<int>(i));
  }
}

TEST_P(EventLoopTest, StopEndsRunFromAnyThread) {
  std::thread other([this] { loop_->stop(); });
  loop_->run();
  other.join();
  loop_->stop();  // before run(): it returns at once
  loop_->run();
  loop_->post([this] { loop_->stop(); });
  loop_->run();
}

TEST_P(EventLoopTest, DeferredCallsRunInOrderAtTheEndOfTheTurnBeforeWaiting) {
  std::vector<std::string> ran;
  loop_->post([&] {
    loop_->defer([&] {
      ran.emplace_back("deferred 1");
      loop_->defer([&ran] { ran.emplace_back("deferred by deferred"); });
    });
    loop_->defer([&ran] { ran.emplace_back("deferred 2"); });
    loop_->call_at(kLongAgo, [&ran] { ran.emplace_back("timer"); });
    ran.emplace_back("posted");
  });
  const Instant start = loop_->now();
  loop_->run_once(seconds(5));
  EXPECT_EQ(ran, (std::vector<std::string>{"posted", "timer", "deferred 1", "deferred 2"}));
  loop_->run_once(milliseconds(1));
  EXPECT_EQ(ran.back(), "deferred by deferred");
  loop_->defer([&] { loop_->defer([&ran] { ran.emplace_back("last"); }); });
  loop_->run_once(seconds(5));  // does not wait: something is left to run
  EXPECT_EQ(ran.back(), "last");
  EXPECT_LT((loop_->now() - start).ns, seconds(4).ns);
}

// Level-triggered: a handler that takes one byte at a time is called until nothing is left.
TEST_P(EventLoopTest, CallsAgainWhatLeavesSomethingUnread) {
  SocketPair pair = make_pair_of_sockets();
  std::string got;
  Handler reader([&](uint32_t events) {
    EXPECT_NE(events & EPOLLIN, 0U);
    char byte = 0;
    if (read(pair.ours.get(), &byte, 1) == 1) got.push_back(byte);
  });
  loop_->watch(pair.ours.get(), EPOLLIN, reader);
  ASSERT_EQ(write(pair.theirs.get(), "lockstep", 8), 8);
  ASSERT_TRUE(run_until(*loop_, [&got] { return got.size() == 8; }));
  EXPECT_EQ(got, "lockstep");
  some_turns();
  EXPECT_EQ(got.size(), 8U);
  ASSERT_EQ(write(pair.theirs.get(), "!", 1), 1);
  ASSERT_TRUE(run_until(*loop_, [&got] { return got.size() == 9; }));
  loop_->unwatch(pair.ours.get());
}

TEST_P(EventLoopTest, ModifyChangesWhatIsReported) {
  SocketPair pair = make_pair_of_sockets();
  int reads = 0;
  int writes = 0;
  Handler handler([&](uint32_t events) {
    if ((events & EPOLLIN) != 0) ++reads;
    if ((events & EPOLLOUT) != 0) ++writes;
  });
  loop_->watch(pair.ours.get(), EPOLLIN, handler);
  some_turns();
  EXPECT_EQ(reads + writes, 0);
  loop_->modify(pair.ours.get(), EPOLLIN | EPOLLOUT);
  ASSERT_TRUE(run_until(*loop_, [&writes] { return writes >= 3; }));  // writable all the time
  EXPECT_EQ(reads, 0);
  ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);
  loop_->modify(pair.ours.get(), EPOLLIN);
  const int before = writes;
  ASSERT_TRUE(run_until(*loop_, [&reads] { return reads >= 3; }));
  EXPECT_EQ(writes, before);
  loop_->modify(pair.ours.get(), EPOLLOUT);
  const int reads_before = reads;
  ASSERT_TRUE(run_until(*loop_, [&] { return writes >= before + 3; }));
  EXPECT_EQ(reads, reads_before);
  loop_->unwatch(pair.ours.get());
}

TEST_P(EventLoopTest, ReportsThatThePeerLeft) {
  SocketPair pair = make_pair_of_sockets();
  uint32_t seen = 0;
  Handler handler([&](uint32_t events) { seen |= events; });
  loop_->watch(pair.ours.get(), EPOLLIN, handler);
  some_turns();
  pair.theirs = UniqueFd();
  ASSERT_TRUE(run_until(*loop_, [&seen] { return (seen & EPOLLHUP) != 0; }));
  EXPECT_NE(seen & EPOLLIN, 0U);
  loop_->unwatch(pair.ours.get());
}

// A client that ended its side and waits for answers that take their time must not keep the loop busy. TCP: a unix socket's
// end shows differently.
TEST_P(EventLoopTest, AHalfClosedPeerWakesNobodyWhoDoesNotRead) {
  const UniqueFd listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listening.get(), generic, length), 0);
  ASSERT_EQ(listen(listening.get(), 1), 0);
  ASSERT_EQ(getsockname(listening.get(), generic, &length), 0);
  const UniqueFd theirs(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(theirs.get(), generic, length), 0);
  const UniqueFd ours(accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  ASSERT_TRUE(ours.ok());

  int calls = 0;
  uint32_t seen = 0;
  Handler handler([&](uint32_t events) {
    ++calls;
    seen |= events;
  });
  loop_->watch(ours.get(), 0, handler);
  ASSERT_EQ(shutdown(theirs.get(), SHUT_WR), 0);
  int turns = 0;
  const Instant end = loop_->now() + milliseconds(500);
  for (; loop_->now() < end; ++turns) loop_->run_once(milliseconds(100));
  EXPECT_EQ(calls, 0);
  EXPECT_LT(turns, 50) << "the loop spins";
  loop_->modify(ours.get(), EPOLLOUT);
  ASSERT_TRUE(run_until(*loop_, [&seen] { return (seen & EPOLLOUT) != 0; }));
  loop_->modify(ours.get(), EPOLLIN);
  ASSERT_TRUE(run_until(*loop_, [&seen] { return (seen & EPOLLIN) != 0; }));
  loop_->modify(ours.get(), 0);
  ASSERT_EQ(shutdown(ours.get(), SHUT_WR), 0);  // now both sides are ended: a hang-up
  EXPECT_TRUE(run_until(*loop_, [&seen] { return (seen & EPOLLHUP) != 0; }));
  loop_->unwatch(ours.get());
}

TEST_P(EventLoopTest, UnwatchInsideTheHandler) {
  SocketPair pair = make_pair_of_sockets();
  int calls = 0;
  std::unique_ptr<Handler> handler;
  handler = std::make_unique<Handler>([&](uint32_t) {
    ++calls;
    loop_->unwatch(pair.ours.get());
    pair.ours = UniqueFd();
  });
  loop_->watch(pair.ours.get(), EPOLLIN, *handler);
  ASSERT_EQ(write(pair.theirs.get(), "xy", 2), 2);
  ASSERT_TRUE(run_until(*loop_, [&calls] { return calls == 1; }));
  handler.reset();
  some_turns();
  EXPECT_EQ(calls, 1);
  // The other side learns of it: no request inside the loop keeps the socket open.
  EXPECT_EQ(send(pair.theirs.get(), "z", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

// Two descriptors ready in one turn; the first handler to run unwatches and closes the other, and puts a new
// one, which is not ready, under the same number. Neither the old nor the new handler may hear of it.
TEST_P(EventLoopTest, UnwatchOfAnotherThatIsReadyInTheSameTurn) {
  std::array<SocketPair, 2> pairs{make_pair_of_sockets(), make_pair_of_sockets()};
  SocketPair fresh = make_pair_of_sockets();
  std::array<int, 2> calls{0, 0};
  int fresh_calls = 0;
  Handler fresh_handler([&fresh_calls](uint32_t) { ++fresh_calls; });
  std::vector<std::unique_ptr<Handler>> handlers;
  for (size_t i = 0; i < 2; ++i) {
    handlers.push_back(std::make_unique<Handler>([&, i](uint32_t) {
      if (++calls[i] > 1) return;
      const int other = pairs[1 - i].ours.get();
      loop_->unwatch(other);
      ASSERT_EQ(dup2(fresh.ours.get(), other), other);
      loop_->watch(other, EPOLLIN, fresh_handler);
    }));
    loop_->watch(pairs[i].ours.get(), EPOLLIN, *handlers[i]);
  }
  some_turns();
  for (SocketPair& pair : pairs) ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);
  ASSERT_TRUE(run_until(*loop_, [&calls] { return calls[0] + calls[1] > 3; }));
  EXPECT_TRUE(calls[0] == 0 || calls[1] == 0);
  EXPECT_EQ(fresh_calls, 0);
  ASSERT_EQ(write(fresh.theirs.get(), "x", 1), 1);
  ASSERT_TRUE(run_until(*loop_, [&fresh_calls] { return fresh_calls > 0; }));
  for (SocketPair& pair : pairs) loop_->unwatch(pair.ours.get());
}

// More watched descriptors than one submission or one wait holds.
TEST_P(EventLoopTest, ManyDescriptors) {
  constexpr size_t kCount = 400;
  std::vector<SocketPair> pairs;
  std::vector<int> calls(kCount, 0);
  std::vector<std::unique_ptr<Handler>> handlers;
  for (size_t i = 0; i < kCount; ++i) {
    pairs.push_back(make_pair_of_sockets());
    handlers.push_back(std::make_unique<Handler>([&, i](uint32_t) {
      char byte = 0;
      if (read(pairs[i].ours.get(), &byte, 1) == 1) ++calls[i];
    }));
    loop_->watch(pairs[i].ours.get(), EPOLLIN, *handlers[i]);
    ASSERT_EQ(write(pairs[i].theirs.get(), "x", 1), 1);
  }
  const auto all_have = [&calls](int count) {
    return std::all_of(calls.begin(), calls.end(), [count](int n) { return n == count; });
  };
  ASSERT_TRUE(run_until(*loop_, [&] { return all_have(1); }));
  for (SocketPair& pair : pairs) ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);
  ASSERT_TRUE(run_until(*loop_, [&] { return all_have(2); }));
  for (SocketPair& pair : pairs) loop_->modify(pair.ours.get(), EPOLLIN | EPOLLPRI);
  for (SocketPair& pair : pairs) ASSERT_EQ(write(pair.theirs.get(), "x", 1), 1);
  ASSERT_TRUE(run_until(*loop_, [&] { return all_have(3); }));
  for (SocketPair& pair : pairs) loop_->unwatch(pair.ours.get());
  some_turns();
}

TEST_P(EventLoopTest, LoopMayGoWhileSomethingIsWatchedAndSet) {
  SocketPair pair = make_pair_of_sockets();
  Handler handler([](uint32_t) {});
  loop_->watch(pair.ours.get(), EPOLLIN, handler);
  loop_->call_at(kNever, [] {});
  loop_->run_once(milliseconds(1));
  loop_->post([] {});
  loop_->defer([] {});
  loop_.reset();
}

TEST_P(EventLoopTest, SignalsAreEvents) {
  std::vector<int> got;
  Result<std::unique_ptr<SignalWatch>> watch =
      SignalWatch::create(*loop_, {SIGUSR1, SIGUSR2}, [&got](int signal) { got.push_back(signal); });
  ASSERT_TRUE(watch.ok());
  ASSERT_EQ(kill(getpid(), SIGUSR1), 0);
  ASSERT_EQ(kill(getpid(), SIGUSR2), 0);
  ASSERT_TRUE(run_until(*loop_, [&got] { return got.size() == 2; }));
  EXPECT_EQ(got[0] + got[1], SIGUSR1 + SIGUSR2);
  watch.value().reset();
  loop_.reset();  // before the signals are let through again
  restore_for_child();
}

INSTANTIATE_TEST_SUITE_P(Engines, EventLoopTest, testing::Values(IoEngine::io_uring, IoEngine::libaio),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace lockstep::conformance
