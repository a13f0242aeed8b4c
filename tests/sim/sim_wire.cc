#include "sim/sim_wire.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/endian.h"
#include "flight/describe.h"
#include "wire/message_codec.h"

namespace lockstep::sim {
namespace {

constexpr uint64_t kVersionBytes = sizeof(uint64_t);

// Whose length is that of the payload; null for one of digests, and where there is none.
Range* payload_range(Message& message) {
  if (payload_bytes_of(message) == 0 || std::holds_alternative<CompareRequest>(message)) return nullptr;
  if (auto* write = std::get_if<WriteRequest>(&message)) return &write->range;
  if (auto* write = std::get_if<FollowerWrite>(&message)) return &write->range;
  if (auto* write = std::get_if<ResyncWrite>(&message)) return &write->range;
  if (auto* reply = std::get_if<ReadReply>(&message)) return &reply->range;
  UNREACHABLE("a message with a payload that the simulator does not know");
}

// False: it is not a whole number of blocks.
bool rescale(Range& range, uint64_t from, uint64_t to) {
  if (range.offset % from != 0 || range.length % from != 0) return false;
  range = {range.offset / from * to, range.length / from * to};
  return true;
}

// A block begins with its version; the rest of it is zero.
std::vector<std::byte> bytes_of(const Payload& payload, uint64_t block_bytes) {
  if (!payload) return {};
  std::vector<std::byte> bytes(payload->size() * block_bytes);
  for (size_t i = 0; i < payload->size(); ++i) put_le(bytes.data() + i * block_bytes, (*payload)[i]);
  return bytes;
}

Payload payload_of(std::span<const std::byte> bytes, uint64_t block_bytes) {
  auto versions = std::make_shared<std::vector<uint64_t>>(bytes.size() / block_bytes);
  for (size_t i = 0; i < versions->size(); ++i) (*versions)[i] = get_le<uint64_t>(bytes.data() + i * block_bytes);
  return versions;
}

}  // namespace

void WireStream::send(const Message& message, Payload payload, Prng& prng) {
  if (first_flight_ == flights_.size()) {
    flights_.clear();
    first_flight_ = 0;
  }
  Flight& flight = flights_.emplace_back();
  flight.sent = message;
  flight.payload = std::move(payload);
  if (payload_bytes_of(message) == 0) {
    append_message_frame(bytes_, message, bytes_of(flight.payload, kVersionBytes));
  } else {
    // What is left out of a payload is counted in real blocks.
    const auto* copied = std::get_if<ResyncWrite>(&message);
    const bool real = prng.below(kFullSizeOneIn) == 0 || (copied != nullptr && copied->zeroes != 0);
    const bool digests = std::holds_alternative<CompareRequest>(message);
    flight.block_bytes = digests ? kDigestBytes : real ? kBlockBytes : kVersionBytes;
    Message scaled = message;
    if (Range* range = payload_range(scaled)) CHECK(rescale(*range, kBlockBytes, flight.block_bytes));
    const std::vector<std::byte> data = bytes_of(flight.payload, flight.block_bytes);
    append_message_frame(bytes_, scaled, data);
    bytes_.insert(bytes_.end(), data.begin(), data.end());
  }
  flight.end = end();
}

WireStream::Flight* WireStream::flight_at(uint64_t frame_end) {
  for (size_t i = first_flight_; i < flights_.size() && flights_[i].end <= frame_end; ++i) {
    if (flights_[i].end == frame_end) return &flights_[i];
  }
  return nullptr;
}

bool WireStream::comes_with_next(uint64_t frame_end) {
  const Flight* flight = flight_at(frame_end);
  return flight != nullptr && flight->joined && frame_end < end();
}

void WireStream::arrived(uint64_t position, Prng& prng) {
  arrived_ = position;
  manner_ = prng.below(64);
  single_bytes_ = static_cast<int>(kFrameHeaderBytes) + 8;
}

// Most often all at once, sometimes in small pieces, sometimes one by one until behind a header.
size_t WireStream::next_size(size_t available, Prng& prng) {
  if (manner_ == 0 && single_bytes_ > 0) {
    --single_bytes_;
    return 1;
  }
  if (manner_ == 1 || manner_ == 2) return std::min<size_t>(available, 1 + prng.below(300));
  return available;
}

const WireStream::Arrival* WireStream::next(Prng& prng, Counters& counters) {
  for (;;) {
    if (auto frame = framer_.next()) {
      ++whole_;
      take(*frame);
      return wrong_.empty() ? &arrival_ : nullptr;
    }
    if (framer_.error() != FrameError::none) wrong_ = text_of(framer_.error());
    if (framer_.stalled()) wrong_ = "the framer stalls";
    if (!wrong_.empty()) return nullptr;
    count_receive(counters);
    if (begin_ + taken_ >= arrived_) break;
    receive(next_size(static_cast<size_t>(arrived_ - begin_ - taken_), prng));
  }
  if (taken_ == bytes_.size()) {
    begin_ += taken_;
    taken_ = 0;
    bytes_.clear();
  }
  return nullptr;
}

void WireStream::count_receive(Counters& counters) {
  if (whole_ > 1) ++counters.joined;
  if (whole_ > 0) counted_ = false;
  whole_ = 0;
  if (!framer_.in_frame() || counted_) return;
  ++counters.split;
  counted_ = true;
}

// The framer may have room for less.
void WireStream::receive(size_t at_most) {
  size_t received = 0;
  for (const std::span<std::byte> space : framer_.space()) {
    const size_t count = std::min(at_most - received, space.size());
    if (count > 0) std::memcpy(space.data(), bytes_.data() + taken_ + received, count);
    received += count;
  }
  framer_.received(received);
  taken_ += received;
}

void WireStream::take(Frame& frame) {
  if (!frame.is_message() || first_flight_ == flights_.size()) {
    wrong_ = "a frame that nobody sent";
    return;
  }
  const Flight& flight = flights_[first_flight_++];
  arrival_.message = std::move(frame.message);
  arrival_.payload = nullptr;
  if (payload_bytes_of(arrival_.message) > 0) {
    Range* range = payload_range(arrival_.message);
    if (flight.block_bytes == 0 || (range != nullptr && !rescale(*range, flight.block_bytes, kBlockBytes))) {
      wrong_ = "a payload that nobody sent";
      return;
    }
    arrival_.payload = payload_of(frame.payload->bytes(), flight.block_bytes);
  }
  const bool same_payload = arrival_.payload ? flight.payload && *arrival_.payload == *flight.payload : !flight.payload;
  if (arrival_.message != flight.sent || !same_payload)
    wrong_ = "sent: " + describe(flight.sent) + "; received: " + describe(arrival_.message);
  if (lane_of(arrival_.message) != lane_) wrong_ = "on the wrong lane: " + describe(arrival_.message);
}

}  // namespace lockstep::sim
