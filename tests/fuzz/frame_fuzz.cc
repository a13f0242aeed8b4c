// Frames of a peer link from arbitrary bytes, received in arbitrary pieces. What decodes must encode to the
// same bytes again. The checksums would shut the fuzzer out of everything behind them, so a mode byte lets it
// have them computed.
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "wire/framer.h"
#include "wire/message_codec.h"

using namespace lockstep;

namespace {

void one_body(std::span<const std::byte> input) {
  const auto type = static_cast<FrameType>(std::to_integer<uint8_t>(input[0]));
  const auto body = input.subspan(1);
  if (body.size() > kMaxBodyBytes) return;
  const auto message = decode_message(type, body);
  if (!message) return;
  std::vector<std::byte> again;
  encode_message(again, *message);
  CHECK(type_of(*message) == type);
  CHECK(again.size() == body.size() && std::memcmp(again.data(), body.data(), body.size()) == 0);
}

// Makes header checksums right where a header would begin after the frames before it.
void mend(std::vector<std::byte>& bytes) {
  size_t at = 0;
  while (at + kFrameHeaderBytes <= bytes.size()) {
    std::byte* head = bytes.data() + at;
    const size_t body = get_le<uint32_t>(head + 8) % 512;
    const size_t payload = get_le<uint32_t>(head + 12) % 8192;
    put_le(head, uint32_t{0x4650534c});
    put_le(head + 4, kFramingVersion);
    put_le(head + 6, uint16_t{0});
    put_le(head + 8, static_cast<uint32_t>(body));
    put_le(head + 12, static_cast<uint32_t>(payload));
    put_le(head + 24, uint32_t{0});
    const std::span<const std::byte> rest = std::span<const std::byte>(bytes).subspan(at + kFrameHeaderBytes);
    if (rest.size() < body + payload) return;
    put_le(head + 16, crc32c(rest.first(body)));
    put_le(head + 20, crc32c(rest.subspan(body, payload)));
    put_le(head + 28, crc32c({head, 28}));
    at += kFrameHeaderBytes + body + payload;
  }
}

void stream(std::vector<std::byte> bytes, size_t step) {
  BufferPool pool(size_t{1} << 18);
  Framer framer(&pool);
  size_t at = 0;
  while (at < bytes.size() && framer.error() == FrameError::none && !framer.stalled()) {
    size_t taken = 0;
    for (const auto& space : framer.space()) {
      const size_t count = std::min({space.size(), bytes.size() - at, step - std::min(step, taken)});
      if (count == 0) continue;
      std::memcpy(space.data(), bytes.data() + at, count);
      at += count;
      taken += count;
    }
    CHECK(taken > 0);
    framer.received(taken);
    while (framer.next()) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::span<const std::byte> input(reinterpret_cast<const std::byte*>(data), size);
  const auto mode = data[0];
  if (mode % 3 == 0) {
    one_body(input.subspan(1));
    return 0;
  }
  std::vector<std::byte> bytes(input.begin() + 1, input.end());
  if (mode % 3 == 1) mend(bytes);
  stream(std::move(bytes), static_cast<size_t>(mode) / 3 + 1);
  return 0;
}
