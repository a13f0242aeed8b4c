#include "sim/coverage.h"

#include <numeric>

#include "sim/coverage_counters.h"

namespace lockstep::sim {
namespace {

template <size_t N>
void add_arrays(std::array<uint64_t, N>& to, const std::array<uint64_t, N>& from) {
  for (size_t i = 0; i < N; ++i) to[i] += from[i];
}

}  // namespace

std::string_view name_of(Fault fault) {
  switch (fault) {
    case Fault::process_kill:
      return "process-kill";
    case Fault::power_loss:
      return "power-loss";
    case Fault::blackout:
      return "blackout";
    case Fault::pause:
      return "pause";
    case Fault::cut:
      return "cut";
    case Fault::one_way_cut:
      return "one-way-cut";
    case Fault::reset:
      return "reset";
    case Fault::flapping:
      return "flapping";
    case Fault::slow_disk:
      return "slow-disk";
    case Fault::data_error:
      return "data-error";
    case Fault::meta_error:
      return "meta-error";
    case Fault::witness_kill:
      return "witness-kill";
    case Fault::witness_wiped:
      return "witness-wiped";
    case Fault::node_wiped:
      return "node-wiped";
    case Fault::clean_stop:
      return "clean-stop";
    case Fault::switch_over:
      return "switch-over";
    case Fault::invalidate:
      return "invalidate";
    case Fault::rival:
      return "rival";
    case Fault::usurp:
      return "usurp";
    case Fault::volatile_blackout:
      return "volatile-blackout";
    case Fault::node_restored:
      return "node-restored";
    case Fault::witness_restored:
      return "witness-restored";
    case Fault::volatile_power_loss:
      return "volatile-power-loss";
    case Fault::metadata_rot:
      return "metadata-rot";
    case Fault::disconnect:
      return "disconnect";
    case Fault::forced_history:
      return "forced-history";
    case Fault::misfit:
      return "misfit";
    case Fault::suspend_io:
      return "suspend-io";
    case Fault::change_nodes:
      return "change-nodes";
    case Fault::shrink:
      return "shrink";
    case Fault::grow:
      return "grow";
    case Fault::pause_sync:
      return "pause-sync";
    case Fault::verify:
      return "verify";
    case Fault::detach:
      return "detach";
    case Fault::rot:
      return "rot";
    case Fault::blunder:
      return "blunder";
    case Fault::earlier_life:
      return "earlier-life";
  }
  return "?";
}

void Coverage::add(const Coverage& o) {
  add_arrays(faults, o.faults);
  add_arrays(notices, o.notices);
  add_arrays(meetings, o.meetings);
  for (const auto& table : kReasonTables) add_arrays(this->*table.counts, o.*table.counts);
  for (const Counter& counter : kCounters) this->*counter.value += o.*counter.value;
}

uint64_t Coverage::fault_count() const { return std::accumulate(faults.begin(), faults.end(), uint64_t{0}); }

uint64_t Coverage::told(Reason reason) const {
  uint64_t sum = 0;
  for (const auto& table : kReasonTables) sum += (this->*table.counts)[static_cast<size_t>(reason)];
  return sum;
}

}  // namespace lockstep::sim
