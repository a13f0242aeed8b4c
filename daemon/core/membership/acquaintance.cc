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
