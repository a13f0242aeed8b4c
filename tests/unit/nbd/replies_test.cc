// Whatever a client asks and an owner does: each request is answered once, with its own error and data. A kernel's client that gets
// another reply than it expects gives its device up.
#include <random>
#include <set>

#include "harness.h"

namespace lockstep::nbd {
namespace {

constexpr uint32_t kRequests = 150;

// What request number `number` is, and what must come of it.
Command command_of(uint32_t number) {
  constexpr Command kCommands[] = {Command::read, Command::write, Command::trim};
  return kCommands[number % 3];
}
bool past_the_end(uint32_t number) { return number % 7 == 3; }
bool fails(uint32_t number) { return number % 5 == 1; }
WireError error_of(uint32_t number) {
  if (past_the_end(number)) return command_of(number) == Command::write ? WireError::enospc : WireError::einval;
  return fails(number) ? WireError::eio : WireError::none;
}

class Replies : public testing::TestWithParam<bool> {
 protected:
  uint64_t draw(uint64_t below) { return dice_() % below; }

  Bytes ask_all() {
    Message stream;
    for (uint32_t number = 0; number < kRequests; ++number) {
      const uint64_t cookie = dice_();
      numbers_[cookie] = number;
      if (command_of(number) == Command::read) read_lengths_[cookie] = 512;
      stream.raw(request(command_of(number), cookie, number * 512u + (past_the_end(number) ? 1u << 20 : 0u), 512));
      if (command_of(number) == Command::write) stream.fill(512, 0xee);
    }
    return stream;
  }
  void complete_one(Connection& connection) {
    auto& waiting = connection.sink.requests;
    if (waiting.empty()) return;
    std::swap(waiting.front(), waiting[draw(waiting.size())]);
    const Request is = connection.next();
    const auto number = static_cast<uint32_t>(is.offset / 512);
    const bool data = is.type == RequestType::read && !fails(number);
    connection.session->complete(is.slot, fails(number) ? EIO : 0,
                                 data ? connection.data(512, static_cast<unsigned char>(number)) : BufferRef());
  }
  // Until everything is over; what was received. `stops`: at some point it is shut down.
  Bytes run(Connection& connection, bool stops) {
    const Bytes stream = ask_all();
    size_t sent = 0;
    Bytes received;
    while (!connection.sink.requests.empty() || connection.session->has_output() ||
           (sent < stream.size() && !connection.session->finished())) {
      const uint64_t what = draw(3);
      if (what == 0) {
        const auto from = stream.begin() + static_cast<ptrdiff_t>(sent);
        const auto count = static_cast<ptrdiff_t>(std::min<uint64_t>(stream.size() - sent, draw(2000)));
        sent += connection.send(Bytes(from, from + count), 1 + draw(700));
      } else if (what == 1) {
        complete_one(connection);
      } else {
        const Bytes more = connection.receive(1 + draw(99));
        received.insert(received.end(), more.begin(), more.end());
      }
      if (stops && draw(300) == 0) connection.session->shutdown();
    }
    EXPECT_EQ(connection.session->outstanding(), 0u);
    return received;
  }
  // How many requests were answered.
  size_t check(const Bytes& received, bool stops) {
    Reader in(received);
    std::set<uint64_t> seen;
    while (in.remaining() > 0 && !HasFailure()) {
      const Answer answer = read_answer(in, read_lengths_);
      EXPECT_TRUE(numbers_.contains(answer.cookie)) << "nobody asked for that";
      EXPECT_TRUE(seen.insert(answer.cookie).second) << "twice";
      const uint32_t number = numbers_[answer.cookie];
      if (stops && answer.error == WireError::eshutdown) continue;
      EXPECT_EQ(answer.error, error_of(number));
      if (answer.error != WireError::none || command_of(number) != Command::read) continue;
      EXPECT_EQ(answer.data, Bytes(512, static_cast<std::byte>(number)));
      EXPECT_EQ(answer.offset, answer.chunk ? number * 512u : 0u);
    }
    return seen.size();
  }

  std::mt19937_64 dice_;
  std::map<uint64_t, uint32_t> numbers_;  // by cookie
  std::map<uint64_t, uint32_t> read_lengths_;
};

TEST_P(Replies, AreOneForEachRequestAndItsOwn) {
  for (uint64_t seed = 0; seed < 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    dice_.seed(seed);
    numbers_.clear();
    read_lengths_.clear();
    const bool stops = seed % 2 == 1;
    Connection connection(SessionLimits{.max_requests = 5});
    connection.open(GetParam());
    const size_t answered = check(run(connection, stops), stops);
    if (!stops) {
      EXPECT_EQ(answered, kRequests);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Structured, Replies, testing::Bool());

}  // namespace
}  // namespace lockstep::nbd
