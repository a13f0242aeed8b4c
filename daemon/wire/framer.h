// Takes a connection's bytes apart into frames. Sans-IO: it says where the next bytes should be received and
// is told how many came; it never touches a socket.
//
// Headers and bodies go through a small buffer, so that one receive brings many small frames. A payload is
// received directly into an aligned buffer of the pool; only the part that arrived together with its header
// is copied. Memory is bounded by kScratchBytes and one payload. When the pool is exhausted the framer
// stalls: receive nothing and call next() again later.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "core/message.h"
#include "wire/frame.h"

namespace lockstep {

struct Frame {
  FrameType type = FrameType::ping;
  Message message;              // when is_message()
  std::vector<std::byte> body;  // of the transport's own frames, as it came
  BufferRef payload;            // of payload_bytes_of(message) bytes; empty when that is zero
  bool is_message() const { return is_message_type(static_cast<uint8_t>(type)); }
};

class Framer {
 public:
  static constexpr size_t kScratchBytes = 8192;

  // `pool` may be null: then a frame with a payload is an error (witness, control lane).
  explicit Framer(BufferPool* pool);
  // Where payloads go from the next frame on.
  void set_pool(BufferPool& pool) { pool_ = &pool; }

  // Where to receive, in this order (for readv). The second part is empty unless a payload is awaited, and
  // both are empty when stalled() or failed. Valid until the next call of received() or next().
  std::array<std::span<std::byte>, 2> space();
  void received(size_t bytes);

  // The next complete frame. Nothing: more bytes are needed, or stalled(), or error() says what was wrong.
  // After an error nothing more comes out.
  std::optional<Frame> next();

  bool stalled() const { return stalled_; }
  FrameError error() const { return error_; }
  // A frame has begun and is not complete: the end of the stream here is a loss, not a close.
  bool in_frame() const { return payload_left_ > 0 || stalled_ || begin_ < end_; }

 private:
  std::span<const std::byte> unread() const { return {scratch_.data() + begin_, end_ - begin_}; }
  bool take_head();
  bool take_body(std::span<const std::byte> body);
  bool start_payload();
  void add_payload_bytes(size_t bytes);
  std::optional<Frame> finish();
  void fail(FrameError error);

  BufferPool* pool_;
  std::vector<std::byte> scratch_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool have_head_ = false;  // header_ and frame_ are those of the frame whose payload is awaited
  bool stalled_ = false;
  FrameHeader header_;
  Frame frame_;
  size_t payload_left_ = 0;
  uint32_t payload_crc_ = 0;
  FrameError error_ = FrameError::none;
};

}  // namespace lockstep
