// Entries about what a step did: effects that people want to read even when the recording's beginning, and with it the step, is gone;
// and the digests that a replay is compared with.
#pragma once

#include <optional>

#include "core/effect.h"
#include "flight/digest.h"
#include "flight/layout.h"
#include "flight/packing.h"

namespace lockstep::flight {

// Of notices, roles and answers to operators; nothing for other effects.
std::optional<Kind> told_kind(const Effect& effect);
// For effects that told_kind() names.
void pack_told(Packer& out, const Effect& effect);
std::optional<Effect> unpack_told(Kind kind, Unpacker in);

struct RecordedState {
  Instant when;  // of the snapshot that was digested
  StateDigest digest;
};
void pack_state(Packer& out, const RecordedState& state);
std::optional<RecordedState> unpack_state(Unpacker in);

}  // namespace lockstep::flight
