#include "core/resync/pace.h"

#include <algorithm>

namespace lockstep {

namespace {

constexpr Duration kClientMemory = milliseconds(200);  // a client that was answered so recently will ask again
constexpr Duration kJudgement = milliseconds(100);
constexpr uint32_t kEnoughToJudge = 20;
constexpr uint32_t kEnoughSamples = 100;
constexpr Duration kLongest = milliseconds(500);
constexpr Duration kFirstGuess = milliseconds(1);  // while too few are known
constexpr Duration kShortest = microseconds(1);
constexpr uint64_t kFirstRate = 16;               // times the least
constexpr uint64_t kFastest = uint64_t{8} << 30;  // beside clients; beyond it there is nothing to limit
constexpr Duration kCatchUp = milliseconds(50);   // a chunk that began late does not slow down those after it
constexpr int64_t kNanoseconds = 1'000'000'000;

int64_t second_of(Instant now) { return now.ns / kNanoseconds; }

}  // namespace

ResyncPace::ResyncPace(const CoreConfig& config) : config_(config), rate_(config.resync_min_rate * kFirstRate) {}

bool ResyncPace::clients_at_work(Instant now) const { return now < last_client_ + kClientMemory; }

uint64_t ResyncPace::limit(Instant now) const {
  const uint64_t most = config_.resync_max_rate;
  if (!clients_at_work(now)) return most;
  return most == 0 ? rate_ : std::min(most, rate_);
}

void ResyncPace::chunk_begins(Instant now, uint64_t bytes) {
  ++under_way_;
  begun_bytes_ += bytes;
  const uint64_t rate = limit(now);
  if (rate == 0) {
    next_ = now;
    return;
  }
  next_ = std::max(next_, now - kCatchUp) + Duration{static_cast<int64_t>(bytes * static_cast<uint64_t>(kNanoseconds) / rate)};
}

void ResyncPace::chunk_ended(Instant now, uint64_t bytes) {
  if (under_way_ > 0) --under_way_;
  last_chunk_ = now;
  const int64_t second = second_of(now);
  for (int64_t at = std::max(current_second_ + 1, second - static_cast<int64_t>(kSeconds) + 1); at <= second; ++at)
    ended_bytes_[static_cast<size_t>(at) % kSeconds] = 0;
  current_second_ = std::max(current_second_, second);
  ended_bytes_[static_cast<size_t>(second) % kSeconds] += bytes;
}

// Whole seconds that are over, from the one on after that in which it began; zero while there is none.
uint64_t ResyncPace::recent_rate(Instant now) const {
  uint64_t bytes = 0;
  uint64_t seconds = 0;
  bool begun = false;
  for (int64_t at = second_of(now) - static_cast<int64_t>(kSeconds) + 1; at < second_of(now); ++at) {
    const bool known = at <= current_second_ && at > current_second_ - static_cast<int64_t>(kSeconds);
    const uint64_t ended = known ? ended_bytes_[static_cast<size_t>(at) % kSeconds] : 0;
    if (begun) {
      ++seconds;
      bytes += ended;
    }
    begun = begun || ended > 0;
  }
  return seconds == 0 ? 0 : bytes / seconds;
}

Duration ResyncPace::allowed() const {
  if (config_.resync_latency_target.ns > 0) return config_.resync_latency_target;
  const Duration base = samples_ >= kEnoughSamples ? alone_ : std::max(alone_, kFirstGuess);
  return base + base;
}

void ResyncPace::client_answered(Instant now, Duration took) {
  const bool alone = under_way_ == 0 && now - took > last_chunk_;
  last_client_ = now;
  if (alone) {
    // Up by much in one of a hundred cases, down by little in the others: they balance at the 99th percentile.
    if (samples_ == 0) alone_ = std::max(took, kShortest);
    const Duration step{std::max<int64_t>(alone_.ns / 10, 1000)};
    if (took > alone_) {
      alone_ = alone_ + std::min(step, took - alone_);
    } else {
      alone_ = std::max(alone_ - Duration{step.ns / 99}, kShortest);
    }
    samples_ = std::min(samples_ + 1, kEnoughSamples);
  } else {
    ++answered_;
    if (took > allowed()) ++slow_;
  }
  if (enough_to_judge(now)) judge(now);
}

// Where clients ask rarely there is not much to be slowed down, and it takes longer to see that it is not.
bool ResyncPace::enough_to_judge(Instant now) const {
  const Duration since = now - judged_;
  return since >= kJudgement && (answered_ >= kEnoughToJudge || slow_ > 2 || since >= kLongest);
}

void ResyncPace::judge(Instant now) {
  const Duration since = std::min(now - judged_, kLongest);
  const bool used = begun_bytes_ * static_cast<uint64_t>(kNanoseconds) >= rate_ / 2 * static_cast<uint64_t>(since.ns);
  if (slow_ * 100 > answered_ && slow_ > 1) {
    rate_ = rate_ / 10 * 7;
  } else if (used && answered_ > 0) {
    rate_ += rate_ / 10 + config_.resync_min_rate / 8;
  }
  rate_ = std::clamp(rate_, config_.resync_min_rate, kFastest);
  answered_ = slow_ = 0;
  begun_bytes_ = 0;
  judged_ = now;
}

}  // namespace lockstep
