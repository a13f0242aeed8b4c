// Measures the flight recorder on the events of a recording: nanoseconds and bytes an event, beside the core's own step.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "flight/memory_space.h"
#include "flight/player.h"
#include "flight/recorder.h"

namespace {

using namespace lockstep;
using Clock = std::chrono::steady_clock;

constexpr size_t kSegmentBytes = size_t{2} << 20;
constexpr size_t kSegments = 16;
constexpr int kRounds = 20;
constexpr size_t kWindow = 64;

double nanoseconds(Clock::duration time, size_t events) {
  return std::chrono::duration<double, std::nano>(time).count() / static_cast<double>(events);
}

struct Cost {
  double best = 1e300;
  void round(Clock::duration time, size_t events) { best = std::min(best, nanoseconds(time, events)); }
};

void record(flight::Recorder& recorder, const Replica& replica, const std::vector<flight::Player::Step>& steps, size_t first,
            size_t end) {
  for (size_t i = first; i < end; ++i) {
    recorder.before(steps[i].now, steps[i].event);
    recorder.after(steps[i].now, replica, steps[i].effects);
  }
}

int measure(const std::vector<std::byte>& file) {
  auto opened = flight::Player::open(file);
  if (!opened || !opened.value().replays()) return std::fputs("flight-cost: this recording cannot be replayed\n", stderr), 1;
  flight::Player player = std::move(opened).value();
  std::vector<flight::Player::Step> steps;
  while (auto step = player.next()) steps.push_back(std::move(*step));
  const Replica& replica = player.replica();

  Cost recording, core;
  uint64_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    flight::MemorySpace space(kSegmentBytes, kSegments);
    flight::Beginning beginning;
    beginning.loaded.record = replica.record();
    flight::Recorder recorder(space, {}, beginning);
    // A window at a time, twice: the second time its events are in the cache, as they are in the daemon.
    Clock::duration spent{};
    for (size_t first = 0; first < steps.size(); first += kWindow) {
      const size_t end = std::min(first + kWindow, steps.size());
      record(recorder, replica, steps, first, end);
      const uint64_t before = recorder.bytes_written();
      const auto begun = Clock::now();
      record(recorder, replica, steps, first, end);
      spent += Clock::now() - begun;
      if (round == 0) bytes += recorder.bytes_written() - before;
    }
    recording.round(spent, steps.size());
  }
  for (int round = 0; round < kRounds; ++round) {
    auto again = flight::EntryReader::open(file);
    flight::BeginningReader beginning;
    while (!beginning.complete()) {
      const auto entry = again.value().next();
      if (!entry || !beginning.take(static_cast<flight::Kind>(entry->kind), flight::Unpacker(entry->body))) return 1;
    }
    Replica fresh(beginning.beginning().config, std::move(beginning.beginning().loaded), beginning.beginning().begun);
    Effects effects;
    const auto begun = Clock::now();
    for (const auto& step : steps) {
      effects.clear();
      fresh.step(step.now, step.event, effects);
    }
    core.round(Clock::now() - begun, steps.size());
  }
  fmt::print("{} events: recorder {:.0f} ns and {:.1f} bytes an event; the core's step {:.0f} ns\n", steps.size(), recording.best,
             static_cast<double>(bytes) / static_cast<double>(steps.size()), core.best);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: flight-cost FILE\n", stderr), 2;
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<std::byte> bytes;
  for (std::istreambuf_iterator<char> at(file), end; at != end; ++at) bytes.push_back(static_cast<std::byte>(*at));
  return measure(bytes);
}
