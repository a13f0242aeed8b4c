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

ReplyHead chunk(Chunk type, const ReplyTo& to, uint32_t payload_length, bool last = true) {
  ReplyHead head;
  add<uint32_t>(head, to.extended ? kMagicExtendedReply : kMagicStructuredReply);
  add<uint16_t>(head, last ? kChunkDone : uint16_t{0});
  add<uint16_t>(head, static_cast<uint16_t>(type));
  add<uint64_t>(head, to.cookie);
  if (!to.extended) {
    add<uint32_t>(head, payload_length);
    return head;
  }
  add<uint64_t>(head, to.offset);
  add<uint64_t>(head, payload_length);
  return head;
}

// Neighbours of one status as one, at most so many, and nothing beyond `length`.
std::vector<Extent> joined(uint64_t length, size_t most, std::span<const Extent> extents) {
  std::vector<Extent> all;
  uint64_t left = length;
  for (const Extent& extent : extents) {
    const uint64_t bytes = std::min(extent.length, left);
    if (bytes == 0) continue;
    if (!all.empty() && all.back().flags == extent.flags) {
      all.back().length += bytes;
    } else {
      if (all.size() == most) break;
      all.push_back({bytes, extent.flags});
    }
    left -= bytes;
  }
  return all;
}

template <class T>
void append(std::vector<std::byte>& out, T value) {
  const size_t at = out.size();
  out.resize(at + sizeof(T));
  put_be(out.data() + at, value);
}

// [NBD_REPLY_TYPE_BLOCK_STATUS, NBD_REPLY_TYPE_BLOCK_STATUS_EXT]: the context, with extended headers the number of descriptors too, and the
// descriptors, whose fields are as wide as a request's length.
void append_status(std::vector<std::byte>& message, const ReplyTo& to, uint32_t context, std::span<const Extent> extents,
                   bool last) {
  std::vector<std::byte> payload;
  append(payload, context);
  if (to.extended) append(payload, static_cast<uint32_t>(extents.size()));
  for (const Extent& extent : extents) {
    if (to.extended) {
      append(payload, extent.length);
      append(payload, uint64_t{extent.flags});
    } else {
      append(payload, static_cast<uint32_t>(extent.length));
      append(payload, extent.flags);
    }
  }
  const Chunk type = to.extended ? Chunk::block_status_ext : Chunk::block_status;
  const ReplyHead head = chunk(type, to, static_cast<uint32_t>(payload.size()), last);
  message.insert(message.end(), head.bytes.begin(), head.bytes.begin() + static_cast<ptrdiff_t>(head.size));
  message.insert(message.end(), payload.begin(), payload.end());
}

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

ReplyHead error_chunk(const ReplyTo& to, WireError error) {
  ReplyHead head = chunk(Chunk::error, to, sizeof(uint32_t) + sizeof(uint16_t));
  add<uint32_t>(head, static_cast<uint32_t>(error));
  add<uint16_t>(head, 0);  // no text
  return head;
}

ReplyHead empty_chunk(const ReplyTo& to) { return chunk(Chunk::none, to, 0); }

ReplyHead data_chunk(const ReplyTo& to, uint32_t length) {
  ReplyHead head = chunk(Chunk::offset_data, to, static_cast<uint32_t>(sizeof(uint64_t) + length));
  add<uint64_t>(head, to.offset);
  return head;
}

std::vector<std::byte> status_reply(const ReplyTo& to, uint64_t length, bool one_extent, std::span<const ContextStatus> all) {
  std::vector<std::byte> message;
  for (const ContextStatus& status : all) {
    const std::vector<Extent> extents = joined(length, one_extent ? 1 : kMaxExtents, status.extents);
    if (extents.empty()) return {};
    append_status(message, to, status.context, extents, &status == &all.back());
  }
  return message;
}

}  // namespace lockstep::nbd
