// The counters of Coverage by name: one list, for adding and for printing.
#pragma once

#include "sim/coverage.h"

namespace lockstep::sim {

struct ReasonTable {
  std::string_view title;
  ReasonCounts Coverage::*counts;
};
constexpr ReasonTable kReasonTables[] = {
    {"meeting refused", &Coverage::meeting_refused},
    {"promotion refused", &Coverage::promotion_refused},
    {"command refused", &Coverage::command_refused},
    {"frozen", &Coverage::frozen},
    {"link closed", &Coverage::closed},
    {"disk given up", &Coverage::detached},
    {"status shows", &Coverage::shown},
};

enum class Demand : uint8_t { none, required };
struct Counter {
  std::string_view group;
  std::string_view name;
  uint64_t Coverage::*value;
  Demand demand = Demand::required;
};
constexpr Counter kCounters[] = {
    {"clients", "operations", &Coverage::client_ops},
    {"clients", "acknowledged", &Coverage::client_acked},
    {"clients", "failed", &Coverage::client_failed},
    {"clients", "unknown", &Coverage::client_unknown},
    {"promotions", "done", &Coverage::promotions},
    {"promotions", "refused", &Coverage::promotions_refused},
    {"promotions", "of a survivor", &Coverage::survivor_promotions},
    {"promotions", "switch-overs", &Coverage::switch_overs},
    {"promotions", "after a clean hand-over", &Coverage::promoted_after_clean},
    {"promotions", "after a lease that ended", &Coverage::promoted_after_unclean},
    {"promotions", "by half of the voters and a fence", &Coverage::promoted_by_half},
    {"fences", "completed", &Coverage::fences_completed},
    {"fences", "failed", &Coverage::fences_failed},
    {"fences", "found a Primary", &Coverage::fences_of_a_primary},
    {"fences", "told late", &Coverage::fence_reports_late},
    {"fences", "told twice", &Coverage::fence_reports_twice},
    {"fences", "back at once", &Coverage::fenced_back_at_once},
    {"fences", "stood aside", &Coverage::stood_aside},
    {"disks", "detached", &Coverage::disks_detached},
    {"copies", "compared", &Coverage::copies_compared},
    {"copies", "differing and covered", &Coverage::differing_covered},
    {"copies", "differing as a resync begins", &Coverage::differing_to_copy},
    {"volumes", "grown", &Coverage::volumes_grown},
    {"volumes", "shrunk", &Coverage::volumes_shrunk},
    {"volumes", "several in one resource", &Coverage::several_volumes},
    {"followers", "writes applied in order", &Coverage::followed},
    {"rot", "blocks", &Coverage::rotten_blocks},
    {"rot", "found", &Coverage::rot_found},
    {"copies", "given up by invalidate-remote", &Coverage::copies_given_up_remotely},
    {"copies", "levelled with nobody Primary", &Coverage::levelled_unattended},
    {"copies", "cache lost by every member", &Coverage::everywhere_lost},
    {"witness", "begins anew", &Coverage::witness_begins_anew},
    {"network", "half-open", &Coverage::half_open},
    {"network", "silences", &Coverage::silences},
    {"network", "late messages", &Coverage::late_messages},
    {"wire", "frames split", &Coverage::frames_split},
    {"wire", "several at once", &Coverage::frames_joined},
    {"wire", "cut off in the middle", &Coverage::frames_cut},
    {"disks", "torn blocks", &Coverage::torn_blocks},
    {"disks", "torn blocks read", &Coverage::parts_read},
    {"disks", "torn pages", &Coverage::torn_pages},
    {"disks", "strayed pages", &Coverage::strayed_pages},
    {"disks", "orphans landed", &Coverage::orphans_landed},
    {"disks", "orphans lost", &Coverage::orphans_lost},
    {"disks", "unflushed lost", &Coverage::lost_blocks},
    {"disks", "errors", &Coverage::disk_errors},
    {"disks", "metadata errors", &Coverage::meta_errors},
    {"superblocks", "writes interrupted", &Coverage::superblocks_interrupted},
    {"superblocks", "repaired at an attach", &Coverage::superblocks_repaired},
    {"superblocks", "repairs interrupted", &Coverage::repairs_interrupted},
};

}  // namespace lockstep::sim
