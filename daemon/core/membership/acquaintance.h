// Voters meet on a new link: is this the run that is remembered, or a later one of the same voter? What each has promised, and which
// copies it knows to be good, rests on memories that never go backwards. A disk or state that was put back from an older image, or
// that two machines have copies of, is told by its start counter and by the tokens of its latest runs (design, section 2, "Amnesia").
//
// Pure; data nodes, the witness and the simulator use it. Not told apart: an older state that was started more often than the true
// one without meeting anybody (more than kLineageRuns times), and one that meets only voters that never met a later run.
#pragma once

#include <initializer_list>
#include <optional>

#include "core/durable.h"
#include "core/message.h"

namespace lockstep {

// A start: one up, and a token that no other run of any memory has. Durable before anything is said.
void begin_run(Lineage& lineage, uint64_t token);

enum class Kinship : uint8_t {
  stranger,    // an acceptor that was not met before: it has nothing that could have gone back
  same_run,    // as remembered
  later_run,   // of the same memory: to be remembered, durably, before it is relied upon
  superseded,  // an older state, or a copy: a later or another run of this acceptor was met
};
Kinship kinship(const KnownRun& known, const Uuid& acceptor, const Lineage& lineage);

// What is remembered of this acceptor at that seat; an empty run if it was not met.
KnownRun remembered(const VoterMemory& memory, Seat seat, const Uuid& acceptor);
// `named`: tenures that name voters. The run of an acceptor that one of them names is not given up for another acceptor's.
void remember(VoterMemory& memory, Seat seat, const KnownRun& run, std::initializer_list<const std::optional<Tenure>*> named);

KnownRun latest_run(const Uuid& acceptor, const Lineage& lineage);
// Whether `claim` shows that the memory of this acceptor is an older state.
inline bool shows_superseded(const KnownRun& claim, const Uuid& acceptor, const Lineage& lineage) {
  return claim.acceptor == acceptor && kinship(claim, acceptor, lineage) == Kinship::superseded;
}

}  // namespace lockstep
