#include "nbd/reply.h"

#include <algorithm>
#include <cerrno>

#include "base/endian.h"

namespace lockstep::nbd {

namespace {

template <class T>
void add(ReplyHead& head, T value) {
  put_be(head.bytes.data() + head.size, value);
  head.size += sizeof(T);
}

// Every chunk is the only one of its reply, hence DONE.
ReplyHead chunk(Chunk type, uint64_t cookie, uint32_t payload_length) {
  ReplyHead head;
  add<uint32_t>(head, kMagicStructuredReply);
  add<uint16_t>(head, kChunkDone);
  add<uint16_t>(head, static_cast<uint16_t>(type));
  add<uint64_t>(head, cookie);
  add<uint32_t>(head, payload_length);
  return head;
}

constexpr size_t kDescriptorBytes = 2 * sizeof(uint32_t);

}  // namespace

WireError to_wire_error(int error_number) {
  switch (error_number) {
    case 0:
      return WireError::none;
    case EPERM:
    case EROFS:
      return WireError::eperm;
    case ENOMEM:
      return WireError::enomem;
    case EINVAL:
    case EOPNOTSUPP:
      return WireError::einval;  // the spec keeps ENOTSUP for FAST_ZERO
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return WireError::enospc;
    case ESHUTDOWN:
      return WireError::eshutdown;
  }
  return WireError::eio;
}

ReplyHead simple_reply(uint64_t cookie, WireError error) {
  ReplyHead head;
  add<uint32_t>(head, kMagicSimpleReply);
  add<uint32_t>(head, static_cast<uint32_t>(error));
  add<uint64_t>(head, cookie);
  return head;
}

ReplyHead error_chunk(uint64_t cookie, WireError error) {
  ReplyHead head = chunk(Chunk::error, cookie, sizeof(uint32_t) + sizeof(uint16_t));
  add<uint32_t>(head, static_cast<uint32_t>(error));
  add<uint16_t>(head, 0);  // no text
  return head;
}

ReplyHead empty_chunk(uint64_t cookie) { return chunk(Chunk::none, cookie, 0); }

ReplyHead data_chunk(uint64_t cookie, uint64_t offset, uint32_t length) {
  ReplyHead head = chunk(Chunk::offset_data, cookie, static_cast<uint32_t>(sizeof(uint64_t) + length));
  add<uint64_t>(head, offset);
  return head;
}

ReplyHead status_chunk(uint64_t cookie, uint32_t length, uint32_t flags) {
  ReplyHead head = chunk(Chunk::block_status, cookie, sizeof(uint32_t) + kDescriptorBytes);
  add<uint32_t>(head, kBaseAllocationId);
  add<uint32_t>(head, length);
  add<uint32_t>(head, flags);
  return head;
}

std::vector<std::byte> status_chunk(uint64_t cookie, uint32_t length, bool one_extent, std::span<const Extent> extents) {
  std::vector<Extent> joined;
  uint64_t left = length;
  for (const Extent& extent : extents) {
    const uint64_t bytes = std::min(extent.length, left);
    if (bytes == 0) continue;
    if (!joined.empty() && joined.back().flags == extent.flags) {
      joined.back().length += bytes;
    } else {
      if (joined.size() == (one_extent ? 1 : kMaxExtents)) break;
      joined.push_back({bytes, extent.flags});
    }
    left -= bytes;
  }
  if (joined.empty()) return {};

  const ReplyHead head =
      chunk(Chunk::block_status, cookie, static_cast<uint32_t>(sizeof(uint32_t) + joined.size() * kDescriptorBytes));
  std::vector<std::byte> message(head.size + sizeof(uint32_t) + joined.size() * kDescriptorBytes);
  std::copy_n(head.bytes.begin(), head.size, message.begin());
  std::byte* at = message.data() + head.size;
  put_be(at, kBaseAllocationId);
  at += sizeof(uint32_t);
  for (const Extent& extent : joined) {
    put_be(at, static_cast<uint32_t>(extent.length));  // at most `length`
    put_be(at + sizeof(uint32_t), extent.flags);
    at += kDescriptorBytes;
  }
  return message;
}

}  // namespace lockstep::nbd
