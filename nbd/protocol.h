// Numbers of the NBD protocol, as in doc/proto.md of the NBD project ("the spec"; section names in brackets
// below). All integers on the wire are big-endian. Only what this server speaks or must recognise is here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep::nbd {

// [Fixed newstyle negotiation]
constexpr uint64_t kMagicServer = 0x4e42444d41474943;  // "NBDMAGIC"
constexpr uint64_t kMagicOption = 0x49484156454F5054;  // "IHAVEOPT", both ways
constexpr uint64_t kMagicOptionReply = 0x0003e889045565a9;

// [Handshake flags] and [Client flags] share their bits.
constexpr uint16_t kFlagFixedNewstyle = 1 << 0;
constexpr uint16_t kFlagNoZeroes = 1 << 1;
constexpr size_t kGreetingBytes = 18;
constexpr size_t kClientFlagsBytes = 4;
constexpr size_t kOptionHeaderBytes = 16;
constexpr size_t kExportNamePadding = 124;

// [Option types]
enum class Option : uint32_t {
  export_name = 1,
  abort = 2,
  list = 3,
  starttls = 5,
  info = 6,
  go = 7,
  structured_reply = 8,
  list_meta_context = 9,
  set_meta_context = 10,
  extended_headers = 11,
};

// [Option reply types]
constexpr uint32_t kReplyErrorBit = uint32_t{1} << 31;
enum class OptionReply : uint32_t {
  ack = 1,
  server = 2,
  info = 3,
  meta_context = 4,
  err_unsup = kReplyErrorBit + 1,
  err_policy = kReplyErrorBit + 2,
  err_invalid = kReplyErrorBit + 3,
  err_tls_reqd = kReplyErrorBit + 5,
  err_unknown = kReplyErrorBit + 6,
  err_shutdown = kReplyErrorBit + 7,
  err_too_big = kReplyErrorBit + 9,
  err_ext_header_reqd = kReplyErrorBit + 10,
};

// [NBD_OPT_GO]: kinds of NBD_REP_INFO.
enum class Info : uint16_t { export_data = 0, name = 1, description = 2, block_size = 3 };

// [Transmission flags]
constexpr uint16_t kTransHasFlags = 1 << 0;
constexpr uint16_t kTransReadOnly = 1 << 1;
constexpr uint16_t kTransSendFlush = 1 << 2;
constexpr uint16_t kTransSendFua = 1 << 3;
constexpr uint16_t kTransRotational = 1 << 4;
constexpr uint16_t kTransSendTrim = 1 << 5;
constexpr uint16_t kTransSendWriteZeroes = 1 << 6;
constexpr uint16_t kTransSendDf = 1 << 7;
constexpr uint16_t kTransCanMultiConn = 1 << 8;
constexpr uint16_t kTransSendCache = 1 << 10;
constexpr uint16_t kTransSendFastZero = 1 << 11;
constexpr uint16_t kTransBlockStatusPayload = 1 << 12;  // extension-ext-header

// [Request message] and the two replies, [Simple reply message] and [Structured reply chunk message].
constexpr uint32_t kMagicRequest = 0x25609513;
constexpr uint32_t kMagicSimpleReply = 0x67446698;
constexpr uint32_t kMagicStructuredReply = 0x668e33ef;
constexpr size_t kRequestBytes = 28;
constexpr size_t kSimpleReplyBytes = 16;
constexpr size_t kChunkHeaderBytes = 20;
// The EXTENDED_HEADERS extension (branch extension-ext-header of the spec): lengths of 64 bits, and one size of header both ways.
constexpr uint32_t kMagicExtendedRequest = 0x21e41c71;
constexpr uint32_t kMagicExtendedReply = 0x6e8a278c;
constexpr size_t kExtendedHeaderBytes = 32;

// [Request types]
enum class Command : uint16_t {
  read = 0,
  write = 1,
  disc = 2,
  flush = 3,
  trim = 4,
  cache = 5,
  write_zeroes = 6,
  block_status = 7,
};

// [Command flags]
constexpr uint16_t kCmdFua = 1 << 0;
constexpr uint16_t kCmdNoHole = 1 << 1;
constexpr uint16_t kCmdDf = 1 << 2;
constexpr uint16_t kCmdReqOne = 1 << 3;
constexpr uint16_t kCmdFastZero = 1 << 4;
constexpr uint16_t kCmdPayloadLen = 1 << 5;  // with extended headers: `length` bytes of payload follow

// [Structured reply flags], [Structured reply types]
constexpr uint16_t kChunkDone = 1 << 0;
enum class Chunk : uint16_t { none = 0, offset_data = 1, block_status = 5, block_status_ext = 6, error = 0x8001 };

// ["base:allocation" metadata context]
constexpr uint32_t kStateHole = 1 << 0;
constexpr uint32_t kStateZero = 1 << 1;
constexpr uint32_t kBaseAllocationId = 1;

// [Error values]: numbers of the protocol, whatever errno says on this platform.
enum class WireError : uint32_t {
  none = 0,
  eperm = 1,
  eio = 5,
  enomem = 12,
  einval = 22,
  enospc = 28,
  eoverflow = 75,
  enotsup = 95,  // a fast zero that would not be fast, and nothing else
  eshutdown = 108,
};

// [Values]: the longest string of any kind, in bytes.
constexpr size_t kMaxString = 4096;

// Bounds of our own. An option that is longer is refused and the connection closed, so that nobody makes us
// read on for gigabytes; a client that sends more options than this has no good intentions.
constexpr size_t kMaxOptionBytes = 32 * 1024;
constexpr size_t kMaxOptions = 256;

// Payloads: what INFO_BLOCK_SIZE advertises, and what is accepted of those who did not ask (the NBD project's
// own "integrityhuge" trace has writes of 49.9 MiB).
constexpr uint32_t kAdvertisedPayload = 32u << 20;
constexpr uint32_t kAcceptedPayload = 64u << 20;

}  // namespace lockstep::nbd
