#include "core/membership/acquaintance.h"

#include <algorithm>

#include "base/mutation.h"

namespace lockstep {

void begin_run(Lineage& lineage, uint64_t token) {
  ++lineage.start;
  std::copy_backward(lineage.tokens.begin(), lineage.tokens.end() - 1, lineage.tokens.end());
  lineage.tokens.front() = token;
}

KnownRun latest_run(const Uuid& acceptor, const Lineage& lineage) { return {acceptor, lineage.start, lineage.tokens.front()}; }

KnownRun remembered(const VoterMemory& memory, Seat seat, const Uuid& acceptor) {
  for (const KnownRun& run : memory.known[seat.value]) {
    if (run.acceptor == acceptor) return run;
  }
  return {};
}

namespace {

bool names(const std::optional<Tenure>& tenure, Seat seat, const Uuid& acceptor) {
  if (!tenure) return false;
  return std::any_of(tenure->voters.begin(), tenure->voters.end(),
                     [&](const Voter& voter) { return voter.seat == seat && voter.acceptor == acceptor; });
}

}  // namespace

void remember(VoterMemory& memory, Seat seat, const KnownRun& run, std::initializer_list<const std::optional<Tenure>*> named) {
  auto& runs = memory.known[seat.value];
  for (KnownRun& known : runs) {
    if (known.acceptor == run.acceptor || known.acceptor.is_nil()) {
      known = run;
      return;
    }
  }
  const bool first_is_named =
      std::any_of(named.begin(), named.end(), [&](const auto* tenure) { return names(*tenure, seat, runs[0].acceptor); });
  runs[first_is_named ? 1 : 0] = run;
}

Kinship kinship(const KnownRun& known, const Uuid& acceptor, const Lineage& lineage) {
  if (known.acceptor.is_nil() || known.acceptor != acceptor) return Kinship::stranger;
  if (known == latest_run(acceptor, lineage)) return Kinship::same_run;
  if (MUTANT(older_state_accepted)) return Kinship::later_run;
  if (lineage.start <= known.start) return Kinship::superseded;
  // A later start: then the remembered run is among those before it, as far back as it tells.
  const uint64_t back = lineage.start - known.start;
  const bool told = back < kLineageRuns && lineage.tokens[back] != 0;
  return told && lineage.tokens[back] != known.token ? Kinship::superseded : Kinship::later_run;
}

}  // namespace lockstep
