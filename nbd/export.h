// What can be exported, and who decides it. The daemon implements ExportDirectory; the handshake asks it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "nbd/protocol.h"

namespace lockstep::nbd {

struct ExportInfo {
  std::string name;                 // canonical: two names of one export give the same
  std::string description;          // for people; may be empty
  uint64_t tag = 0;                 // the directory's own number for it, handed back in RequestSink::opened
  uint64_t size = 0;                // bytes; what exceeds a multiple of minimum_block is not served
  uint32_t minimum_block = 512;     // bytes, a power of two up to 64 KiB; requests must be aligned to it
  uint32_t preferred_block = 4096;  // bytes, a power of two
  bool read_only = false;
  bool rotational = false;
  bool fast_zeroes = false;  // WRITE_ZEROES is faster than a WRITE of zeroes, on every copy
  // The owner answers BLOCK_STATUS about base:allocation. Otherwise everything is reported as allocated data.
  bool reports_extents = false;
  // What else it answers BLOCK_STATUS about, "namespace:name" each (context.h); no more than ContextSet has room for.
  std::vector<std::string> contexts;

  uint64_t served_bytes() const { return size - size % minimum_block; }
};

// Why an export is not to be had, with a text for the client's user (cut at 4096 bytes).
struct Refusal {
  enum class Kind : uint8_t { unknown, policy, shutting_down, tls_required };
  Kind kind = Kind::unknown;
  std::string text;
};

// Whether negotiation may, or has to, go on under TLS [TLS support: NOTLS, SELECTIVETLS, FORCEDTLS].
enum class TlsPolicy : uint8_t { off, selective, forced };

// Not yet known (a promotion is on its way, say). The client waits until Session::resume(), when the question
// is repeated.
struct Deferred {};

using Lookup = std::variant<ExportInfo, Refusal, Deferred>;

struct ExportListing {
  std::string name;
  std::string description;
};

class ExportDirectory {
 public:
  // `open`: the client will read and write if the answer is an export. `describe`: it only asks.
  enum class Purpose : uint8_t { describe, open };

  virtual ~ExportDirectory() = default;
  // Every export once, by its canonical name, whether or not it can be opened now.
  virtual std::vector<ExportListing> list() = 0;
  // Never called with the empty name: see resolve().
  virtual Lookup look_up(std::string_view name, Purpose purpose) = 0;
};

// look_up, with the spec's default export: the empty name stands for the only one there is
// [NBD_OPT_EXPORT_NAME].
Lookup resolve(ExportDirectory& directory, std::string_view name, ExportDirectory::Purpose purpose);

// What a client has negotiated, as far as it decides what it is offered.
struct Agreed {
  bool structured_replies = false;
  bool extended_headers = false;
  bool contexts = false;  // of this export
};

// [Transmission flags] for an export. DF is for those who negotiated structured replies, queries by context for those with extended headers.
uint16_t transmission_flags(const ExportInfo& info, const Agreed& agreed);

}  // namespace lockstep::nbd
