#include "wire/framer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "wire/message_codec.h"

namespace lockstep {

Framer::Framer(BufferPool* pool) : pool_(pool), scratch_(kScratchBytes) {
  static_assert(kScratchBytes >= kFrameHeaderBytes + kMaxBodyBytes);
}

void Framer::fail(FrameError error) {
  error_ = error;
  stalled_ = false;
  payload_left_ = 0;
  frame_ = {};
}

std::array<std::span<std::byte>, 2> Framer::space() {
  if (stalled_ || error_ != FrameError::none) return {};
  if (begin_ > 0) {
    std::memmove(scratch_.data(), scratch_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const std::span<std::byte> rest = std::span(scratch_).subspan(end_);
  if (payload_left_ == 0) return {rest, {}};
  return {frame_.payload->bytes().last(payload_left_), rest};
}

void Framer::received(size_t bytes) {
  const size_t direct = std::min(bytes, payload_left_);
  if (direct > 0) add_payload_bytes(direct);
  CHECK(end_ + bytes - direct <= scratch_.size());
  end_ += bytes - direct;
}

void Framer::add_payload_bytes(size_t bytes) {
  const auto rest = frame_.payload->bytes().last(payload_left_);
  payload_crc_ = crc32c_extend(payload_crc_, rest.first(bytes));
  payload_left_ -= bytes;
}

std::optional<Frame> Framer::next() {
  if (error_ != FrameError::none) return std::nullopt;
  if (!have_head_ && !take_head()) return std::nullopt;
  if (header_.payload_bytes > 0 && !frame_.payload && !start_payload()) return std::nullopt;
  if (payload_left_ > 0) return std::nullopt;
  return finish();
}

bool Framer::take_head() {
  const auto bytes = unread();
  if (bytes.size() < kFrameHeaderBytes) return false;
  FrameHeader header;
  const FrameError error = decode_header(bytes, header);
  if (error != FrameError::none) {
    fail(error);
    return false;
  }
  if (header.payload_bytes > 0 && pool_ == nullptr) {
    fail(FrameError::payload_mismatch);
    return false;
  }
  if (bytes.size() < kFrameHeaderBytes + header.body_bytes) return false;
  header_ = header;
  if (!take_body(bytes.subspan(kFrameHeaderBytes, header.body_bytes))) return false;
  begin_ += kFrameHeaderBytes + header.body_bytes;
  have_head_ = true;
  return true;
}

bool Framer::take_body(std::span<const std::byte> body) {
  frame_ = {};
  frame_.type = header_.type;
  if (crc32c(body) != header_.body_crc) {
    fail(FrameError::body_checksum);
    return false;
  }
  uint64_t announced = 0;
  if (frame_.is_message()) {
    auto message = decode_message(header_.type, body);
    if (!message) {
      fail(FrameError::malformed_body);
      return false;
    }
    announced = payload_bytes_of(*message);
    frame_.message = std::move(*message);
  } else {
    frame_.body.assign(body.begin(), body.end());
  }
  if (announced != header_.payload_bytes) {
    fail(FrameError::payload_mismatch);
    return false;
  }
  return true;
}

bool Framer::start_payload() {
  frame_.payload = pool_->allocate(header_.payload_bytes);
  stalled_ = !frame_.payload;
  if (stalled_) return false;
  payload_left_ = header_.payload_bytes;
  payload_crc_ = 0;
  const auto here = unread();
  const size_t count = std::min(here.size(), payload_left_);
  if (count > 0) {
    std::memcpy(frame_.payload->data(), here.data(), count);
    begin_ += count;
    add_payload_bytes(count);
  }
  return true;
}

std::optional<Frame> Framer::finish() {
  if (header_.payload_bytes > 0 && payload_crc_ != header_.payload_crc) {
    fail(FrameError::payload_checksum);
    return std::nullopt;
  }
  if (header_.payload_bytes == 0 && header_.payload_crc != 0) {
    fail(FrameError::payload_checksum);
    return std::nullopt;
  }
  have_head_ = false;
  return std::exchange(frame_, Frame{});
}

}  // namespace lockstep
