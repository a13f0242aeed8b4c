// Bytes of every core::Event, for recordings. An event is written as its difference from the events before it: a recording holds
// millions of events that are alike. Pure and strict: unknown values, a message that no peer may send, or bytes left over give nothing.
//
//   time     zigzag varint: nanoseconds since the event before
//   fields   ids as zigzag varints: difference from the last id of that kind; ranges as event_codec.cc says
//   message  the type's number, then the frequent ones in the same way and the others as docs/wire.md has them
//
// Encoder and decoder each keep Baselines, which must have gone through the same events; a segment of a recording begins anew.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "core/event.h"
#include "flight/packing.h"

namespace lockstep::flight {

struct Baselines {
  Instant now;
  uint64_t client_io = 0;
  uint64_t disk_io = 0;
  uint64_t token = 0;
  uint64_t payload = 0;
  uint64_t admin = 0;
  uint64_t offset = 0;
  uint64_t position = 0;
  Stamp stamp;
  std::array<uint64_t, kMaxSeats> links{};
  std::array<uint64_t, std::variant_size_v<Message>> ops{};
};

// No event takes more.
constexpr size_t kMaxEventBytes = 4096 + 128;

// `scratch` is reused between calls, so that nothing is allocated once it has grown.
void encode_event(Packer& out, Baselines& base, std::vector<std::byte>& scratch, Instant now, const Event& event);

struct TimedEvent {
  Instant now;
  Event event;
};
// `index`: which alternative of Event; all of `in` belongs to it.
std::optional<TimedEvent> decode_event(Unpacker in, Baselines& base, size_t index);

}  // namespace lockstep::flight
