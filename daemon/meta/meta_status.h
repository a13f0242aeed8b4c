// Why metadata could not be opened, one value a cause. Texts for people live here too, so that the daemon's
// log, the CLI and the tests say the same.
#pragma once

#include <cstdint>
#include <string_view>

namespace lockstep {

enum class MetaStatus : uint8_t {
  ok,
  no_metadata,          // no sector carries our magic
  damaged,              // our magic, but no copy passes its checksum
  unsupported_version,  // intact, written by a later format version
  unsupported_feature,  // intact, with a feature flag that must be understood
  malformed,            // checksum right, content impossible: a bug of the writer
  no_quorum,            // fewer than two copies vouch for the newest record
  fork,                 // two copies of one sequence differ, or the older one is not the parent of the newer
  layout_mismatch,      // the recorded places do not fit the device: it was resized, or belongs elsewhere
  other_resource,
  other_node,
  other_volume,
  device_too_small,
  device_too_large,  // beyond what one volume can track
  io_error,
};

// One sentence for a person, without a full stop.
std::string_view text_of(MetaStatus status);
// What to do about it. Empty for ok.
std::string_view remedy_of(MetaStatus status);
// Stable, lower case with dashes. For scripts.
std::string_view code_of(MetaStatus status);

}  // namespace lockstep
