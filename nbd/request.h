// A request as the owner of a session sees it: validated, inside the export, aligned, never empty (but for
// FLUSH).
#pragma once

#include <cstdint>

#include "base/buffer.h"
#include "nbd/context.h"
#include "nbd/export.h"

namespace lockstep::nbd {

enum class RequestType : uint8_t { read, write, write_zeroes, trim, flush, block_status };

// Names a request of one session until it is completed; numbers are used again afterwards.
struct SlotId {
  uint32_t value = 0;
  friend bool operator==(const SlotId&, const SlotId&) = default;
};

struct Request {
  SlotId slot;
  RequestType type = RequestType::read;
  bool fua = false;         // reply only once this request's own data is on stable storage
  bool no_hole = false;     // write_zeroes: keep the blocks allocated
  bool one_extent = false;  // block_status: only the first extent is wanted
  uint64_t offset = 0;      // bytes; zero for flush
  uint64_t length = 0;      // bytes; more than a payload may have only for those that carry no data; zero for flush
  ContextSet contexts;      // block_status: what the owner is to tell
  BufferRef payload;        // write: `length` bytes
};

// Where a session's requests go. Implemented by the daemon.
class RequestSink {
 public:
  virtual ~RequestSink() = default;
  // The client has chosen its export; requests follow. Called once at most.
  virtual void opened(const ExportInfo& info) = 0;
  // To be answered by Session::complete or complete_status, in any order, at once (from inside this call) or
  // later. The session must not be destroyed from inside this call.
  virtual void submit(Request request) = 0;
};

}  // namespace lockstep::nbd
