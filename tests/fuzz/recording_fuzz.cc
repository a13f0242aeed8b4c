// Recordings: whole files, and the bodies of their entries behind checksums that hold. No crash; an event that is understood is
// written and read again as the same.
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "flight/about.h"
#include "flight/describe.h"
#include "flight/entry_reader.h"
#include "flight/event_codec.h"
#include "flight/told_codec.h"

using namespace lockstep;

namespace {

void whole_file(std::span<const std::byte> file) {
  auto reader = flight::EntryReader::open(file);
  if (!reader) return;
  while (reader.value().next()) {
  }
}

void events(std::span<const std::byte> in) {
  flight::Baselines reading, writing, again;
  std::vector<std::byte> scratch;
  std::vector<std::byte> bytes(flight::kMaxEventBytes);
  while (in.size() >= 2) {
    const size_t index = static_cast<size_t>(in[0]) % flight::kEvents;
    const size_t length = std::min<size_t>(static_cast<size_t>(in[1]), in.size() - 2);
    const auto event = flight::decode_event(flight::Unpacker(in.subspan(2, length)), reading, index);
    in = in.subspan(2 + length);
    if (!event) return;
    flight::Packer out(bytes);
    flight::encode_event(out, writing, scratch, event->now, event->event);
    const auto back = flight::decode_event(flight::Unpacker(std::span(bytes).first(out.size())), again, index);
    CHECK(back.has_value() && back->now == event->now && describe(back->event) == describe(event->event));
  }
}

void told(std::span<const std::byte> in) {
  for (const auto kind : {flight::Kind::note, flight::Kind::role, flight::Kind::admin_reply}) {
    if (const auto effect = flight::unpack_told(kind, flight::Unpacker(in))) CHECK(!describe(*effect).empty());
  }
  static_cast<void>(flight::unpack_state(flight::Unpacker(in)));
  static_cast<void>(flight::decode_about(in));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> in(reinterpret_cast<const std::byte*>(data), size);
  if (in.empty()) return 0;
  const auto rest = in.subspan(1);
  if (data[0] % 3 == 0) whole_file(rest);
  if (data[0] % 3 == 1) events(rest);
  if (data[0] % 3 == 2) told(rest);
  return 0;
}
