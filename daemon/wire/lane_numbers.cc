#include "wire/lane_numbers.h"

#include <utility>

#include "base/endian.h"

namespace lockstep {

std::vector<std::byte> encode(const Position& position) {
  std::vector<std::byte> bytes;
  ByteWriter(bytes).put(position.next);
  return bytes;
}

std::vector<std::byte> encode(const Received& received) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.put(received.control);
  out.put(received.data);
  return bytes;
}

std::optional<Position> decode_position(std::span<const std::byte> body) {
  ByteReader in(body);
  const Position position{in.get<uint64_t>()};
  if (!in.at_end()) return std::nullopt;
  return position;
}

std::optional<Received> decode_received(std::span<const std::byte> body) {
  ByteReader in(body);
  Received received;
  received.control = in.get<uint64_t>();
  received.data = in.get<uint64_t>();
  if (!in.at_end()) return std::nullopt;
  return received;
}

void LaneSender::keep(KeptFrame frame) {
  bytes_ += frame.bytes();
  kept_.push_back(std::move(frame));
}

bool LaneSender::received(uint64_t next) {
  if (next > this->next()) return false;
  while (first_ < next) {  // an older word that came by a slower path says nothing
    bytes_ -= kept_.front().bytes();
    kept_.pop_front();
    ++first_;
  }
  return true;
}

LaneReceiver::Verdict LaneReceiver::take(uint64_t number) {
  if (number < expected_) return Verdict::again;
  if (number > expected_) return Verdict::gap;
  ++expected_;
  return Verdict::fresh;
}

}  // namespace lockstep
