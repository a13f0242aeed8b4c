#include "sim/coverage.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "flight/describe.h"

namespace lockstep::sim {
namespace {

using Named = std::vector<std::pair<std::string_view, uint64_t>>;

// What a few thousand seeds must have reached. Grows with the core; what is not listed is printed all the
// same.
constexpr std::array kRequiredFaults = {
    Fault::process_kill,
    Fault::power_loss,
    Fault::blackout,
    Fault::pause,
    Fault::cut,
    Fault::one_way_cut,
    Fault::reset,
    Fault::flapping,
    Fault::slow_disk,
    Fault::data_error,
    Fault::rival,
    Fault::usurp,
    Fault::volatile_blackout,
    Fault::witness_wiped,
    Fault::node_wiped,
    Fault::meta_error,
    Fault::witness_kill,
    Fault::clean_stop,
    Fault::switch_over,
    Fault::invalidate,
    Fault::node_restored,
    Fault::witness_restored,
    Fault::volatile_power_loss,
    Fault::metadata_rot,
    Fault::disconnect,
    Fault::forced_history,
};
constexpr std::array kRequiredNotices = {
    Notice::peer_connected,   Notice::peer_lost,      Notice::tenure_decided, Notice::tenure_adopted,   Notice::became_primary,
    Notice::became_secondary, Notice::frozen,         Notice::thawed,         Notice::peer_dropped,     Notice::resync_started,
    Notice::resync_finished,  Notice::peer_joined,    Notice::deposed,        Notice::disk_failed,      Notice::metadata_failed,
    Notice::resync_aborted,   Notice::voter_lost,     Notice::voter_back,     Notice::voter_replaced,   Notice::fence_started,
    Notice::fence_finished,   Notice::fence_ignored,  Notice::superseded,     Notice::caretaker_begins, Notice::caretaker_ends,
    Notice::voter_seated,     Notice::voter_unseated,
};
// Each rule of the promotion table and each way in which a round can fail for good. Reason::lease_running only shows while a
// promotion waits: it ends with a promotion, or with peer_is_primary when the lease is renewed.
// Some are too rare to ask for: no-quorum, never-used, invalidate-primary, peer-is-primary.
constexpr Reason kRequiredCommandRefusals[] = {Reason::no_disk,     Reason::busy,         Reason::peer_not_connected,
                                               Reason::better_copy, Reason::not_a_target, Reason::no_current_copy};
constexpr Reason kRequiredClosings[] = {Reason::different_history, Reason::acknowledgement_timeout, Reason::operator_request,
                                        Reason::older_state};

constexpr std::array kRequiredRefusals = {
    Reason::no_quorum,         Reason::voters_starting, Reason::peer_is_primary, Reason::no_current_copy,
    Reason::copy_inconsistent, Reason::never_used,      Reason::no_disk,         Reason::busy,
    Reason::older_state,       Reason::copy_doubtful,
};

template <size_t N>
void add_arrays(std::array<uint64_t, N>& to, const std::array<uint64_t, N>& from) {
  for (size_t i = 0; i < N; ++i) to[i] += from[i];
}

void print_line(std::string_view title, const Named& counters, bool zeros) {
  std::string text;
  for (const auto& [name, count] : counters) {
    if (count > 0 || zeros) text += fmt::format(" {} {}", name, count);
  }
  fmt::print("{}:{}\n", title, text.empty() ? " none" : text);
}

Named reasons(const std::array<uint64_t, kReasons>& counts) {
  Named named;
  for (size_t i = 0; i < kReasons; ++i) named.emplace_back(code_of(static_cast<Reason>(i)), counts[i]);
  return named;
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
  }
  return "?";
}

void Coverage::add(const Coverage& o) {
  add_arrays(faults, o.faults);
  add_arrays(notices, o.notices);
  add_arrays(promotion_refused, o.promotion_refused);
  add_arrays(command_refused, o.command_refused);
  add_arrays(frozen, o.frozen);
  add_arrays(closed, o.closed);
  const auto each = {&Coverage::client_ops,
                     &Coverage::client_acked,
                     &Coverage::client_failed,
                     &Coverage::client_unknown,
                     &Coverage::promotions,
                     &Coverage::promotions_refused,
                     &Coverage::survivor_promotions,
                     &Coverage::switch_overs,
                     &Coverage::fences_completed,
                     &Coverage::fences_failed,
                     &Coverage::fences_of_a_primary,
                     &Coverage::fence_reports_late,
                     &Coverage::fence_reports_twice,
                     &Coverage::copies_given_up_remotely,
                     &Coverage::half_open,
                     &Coverage::silences,
                     &Coverage::late_messages,
                     &Coverage::everywhere_lost,
                     &Coverage::frames_split,
                     &Coverage::frames_joined,
                     &Coverage::frames_cut,
                     &Coverage::superblocks_interrupted,
                     &Coverage::superblocks_repaired,
                     &Coverage::repairs_interrupted,
                     &Coverage::torn_pages,
                     &Coverage::strayed_pages,
                     &Coverage::orphans_landed,
                     &Coverage::orphans_lost,
                     &Coverage::lost_blocks,
                     &Coverage::disk_errors,
                     &Coverage::meta_errors,
                     &Coverage::witness_begins_anew,
                     &Coverage::levelled_unattended,
                     &Coverage::copies_compared,
                     &Coverage::differing_covered,
                     &Coverage::promoted_after_clean,
                     &Coverage::promoted_after_unclean,
                     &Coverage::promoted_by_half};
  for (auto member : each) this->*member += o.*member;
}

uint64_t Coverage::fault_count() const {
  uint64_t sum = 0;
  for (uint64_t count : faults) sum += count;
  return sum;
}

namespace {

template <class Reasons, class Counts>
int never_reached(std::string_view what, const Reasons& required, const Counts& counts) {
  int missing = 0;
  for (Reason reason : required) {
    if (counts[static_cast<size_t>(reason)] > 0) continue;
    fmt::print("never reached: {} {}\n", what, code_of(reason));
    ++missing;
  }
  return missing;
}

}  // namespace

int Coverage::print() const {
  Named named;
  for (size_t i = 0; i < kFaults; ++i) named.emplace_back(name_of(static_cast<Fault>(i)), faults[i]);
  print_line("faults", named, true);
  named.clear();
  for (size_t i = 0; i < kNotices; ++i) named.emplace_back(lockstep::name_of(static_cast<Notice>(i)), notices[i]);
  print_line("notices", named, true);
  print_line("promotion refused", reasons(promotion_refused), false);
  print_line("command refused", reasons(command_refused), false);
  print_line("frozen", reasons(frozen), false);
  print_line("links closed", reasons(closed), false);
  fmt::print("clients: ops {} acked {} failed {} unknown {}\n", client_ops, client_acked, client_failed, client_unknown);
  fmt::print("promotions: {} refused {} of-a-survivor {} switch-overs {} fences completed {} failed {}\n", promotions,
             promotions_refused, survivor_promotions, switch_overs, fences_completed, fences_failed);
  fmt::print("fences: found a Primary {} told late {} told twice {}; copies given up by invalidate-remote {}\n",
             fences_of_a_primary, fence_reports_late, fence_reports_twice, copies_given_up_remotely);
  fmt::print("promotion rules: after a clean hand-over {} after a lease that ended {} by half of the voters and a fence {}\n",
             promoted_after_clean, promoted_after_unclean, promoted_by_half);
  fmt::print("network: half-open {} silences {} late messages {}\n", half_open, silences, late_messages);
  fmt::print("wire: frames split {} several at once {} cut off in the middle {}\n", frames_split, frames_joined, frames_cut);
  fmt::print("disks: torn pages {} strayed {} orphans landed {} lost {} unflushed lost {} errors {} metadata errors {}\n",
             torn_pages, strayed_pages, orphans_landed, orphans_lost, lost_blocks, disk_errors, meta_errors);
  fmt::print("superblocks: writes interrupted {} repaired at an attach {} repairs interrupted {}\n", superblocks_interrupted,
             superblocks_repaired, repairs_interrupted);
  fmt::print("copies: compared {} differing and covered {}, cache lost by every member {}\n", copies_compared, differing_covered,
             everywhere_lost);
  int missing = 0;
  for (Fault fault : kRequiredFaults) {
    if (faults[static_cast<size_t>(fault)] > 0) continue;
    fmt::print("never reached: fault {}\n", name_of(fault));
    ++missing;
  }
  for (Notice notice : kRequiredNotices) {
    if (notices[static_cast<size_t>(notice)] > 0) continue;
    fmt::print("never reached: notice {}\n", lockstep::name_of(notice));
    ++missing;
  }
  missing += never_reached("promotion refused for", kRequiredRefusals, promotion_refused);
  missing += never_reached("command refused for", kRequiredCommandRefusals, command_refused);
  missing += never_reached("link closed for", kRequiredClosings, closed);
  const Named counters = {{"loss of the cache of every member", everywhere_lost},
                          {"copies levelled with nobody Primary", levelled_unattended},
                          {"survivor promotion", survivor_promotions},
                          {"promotion after a clean hand-over", promoted_after_clean},
                          {"promotion after a lease that ended", promoted_after_unclean},
                          {"promotion by half of the voters and a fence", promoted_by_half},
                          {"freeze without the lease", frozen[static_cast<size_t>(Reason::lease_lost)]},
                          {"freeze without quorum", frozen[static_cast<size_t>(Reason::no_quorum)]},
                          {"completed fence", fences_completed},
                          {"failed fence", fences_failed},
                          {"fence that found a Primary", fences_of_a_primary},
                          {"fence that was told late", fence_reports_late},
                          {"fence that was told twice", fence_reports_twice},
                          {"invalidate-remote", copies_given_up_remotely},
                          {"switch-over", switch_overs},
                          {"half-open link", half_open},
                          {"frame that came in pieces", frames_split},
                          {"frames that came at once", frames_joined},
                          {"frame cut off in the middle", frames_cut},
                          {"torn page", torn_pages},
                          {"strayed page", strayed_pages},
                          {"superblock write interrupted", superblocks_interrupted},
                          {"superblock repaired at an attach", superblocks_repaired},
                          {"superblock repair interrupted", repairs_interrupted},
                          {"orphan write landed", orphans_landed},
                          {"differing copies", differing_covered},
                          {"refused promotion", promotions_refused},
                          {"unflushed write lost", lost_blocks}};
  for (const auto& [name, count] : counters) {
    if (count > 0) continue;
    fmt::print("never reached: {}\n", name);
    ++missing;
  }
  return missing;
}

}  // namespace lockstep::sim
