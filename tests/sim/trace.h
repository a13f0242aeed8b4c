// What happened in a run: a hash of it always (two runs of a seed must agree), the text when asked for.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "core/effect.h"
#include "core/event.h"
#include "flight/describe.h"
#include "sim/event_queue.h"

namespace lockstep::sim {

enum class TraceDetail : uint8_t {
  none,
  story,  // what the world did and what the nodes tell: enough to follow a failure
  all,    // every event and effect
};

class Trace {
 public:
  Trace(const EventQueue& queue, TraceDetail detail) : queue_(queue), detail_(detail) {}

  uint64_t hash() const { return hash_; }
  bool printing() const { return detail_ == TraceDetail::all; }
  void event(Seat node, const Event& event) {
    mix(static_cast<uint64_t>(queue_.now().ns) * 64 + event.index());
    mix(node.value);
    if (printing()) line(node, "  ", describe(event));
  }
  void effect(Seat node, const Effect& effect) {
    mix(effect.index() + 1000);
    if (const auto* send = std::get_if<Send>(&effect)) mix(send->message.index() + (send->link.value << 8));
    if (const auto* disk = std::get_if<DiskIo>(&effect)) mix(disk->range.offset + disk->range.length);
    if (printing() || (detail_ == TraceDetail::story && tells(effect))) line(node, "    ", describe(effect));
  }
  // Something that the world did.
  void note(Seat node, std::string_view text) {
    mix(text.size() + 77);
    if (detail_ != TraceDetail::none) line(node, "* ", std::string(text));
  }
  void mix(uint64_t value) {
    hash_ ^= value;
    hash_ *= 0x100000001b3U;
    hash_ ^= hash_ >> 29;
  }

 private:
  static bool tells(const Effect& effect) {
    const auto* note = std::get_if<Note>(&effect);
    return note != nullptr && note->notice != Notice::round_started;
  }
  void line(Seat node, const char* indent, const std::string& text) const {
    std::printf("%12.6f %-2s %s%s\n", static_cast<double>(queue_.now().ns) / 1e9, node == kNoSeat ? "" : describe(node).c_str(),
                indent, text.c_str());
  }
  const EventQueue& queue_;
  TraceDetail detail_;
  uint64_t hash_ = 0xcbf29ce484222325U;
};

}  // namespace lockstep::sim
