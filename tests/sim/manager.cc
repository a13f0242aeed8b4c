#include "sim/manager.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "flight/describe.h"

namespace lockstep::sim {
namespace {

constexpr int kFenced = 7;
constexpr int kIsPrimary = 6;
constexpr int kUnreachable = 5;
constexpr int kOutdated = 4;

}  // namespace

void Manager::begin() {
  context_.queue.after(shape_.poll, [this] { poll(); });
}

void Manager::poll() {
  begin();
  if (command_ && context_.queue.now() - command_->since > seconds(20)) command_.reset();
  if (command_) return;
  if (created_) {
    supervise();
  } else {
    create();
  }
}

SimNode& Manager::node(Seat seat) {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(), [&](const SimNode* n) { return n->seat() == seat; });
  CHECK(found != nodes_.end());
  return **found;
}

SimNode* Manager::primary() const {
  for (SimNode* n : nodes_) {
    if (n->alive() && n->primary()) return n;
  }
  return nullptr;
}

SimNode* Manager::other(const SimNode& than) const {
  for (SimNode* n : nodes_) {
    if (n != &than && n->alive()) return n;
  }
  return nullptr;
}

void Manager::send(SimNode& node, AdminOp op, Then then, Seat peer) {
  command_ = Command{AdminId{next_admin_++}, node.seat(), op, context_.queue.now(), std::move(then)};
  const bool creates = op == AdminOp::new_current_uuid || op == AdminOp::primary_force;
  node.post(AdminRequest{command_->id, op, peer, prng_.uuid(), {0, creates ? shape_.volume_bytes : 0}, 0, false});
}

bool Manager::command(SimNode& node, AdminOp op, std::function<void(bool)> then, Seat peer) {
  if (command_ || !created_ || !node.alive()) return false;
  send(
      node, op,
      [this, op, then = std::move(then)](bool ok, Reason reason) {
        if (!ok) ++context_.coverage.command_refused[static_cast<size_t>(reason)];
        context_.trace.note(kNoSeat, fmt::format("{}: {} {}", name_of(op), ok, code_of(reason)));
        then(ok);
      },
      peer);
  return true;
}

void Manager::admin_answered(Seat node, AdminId id, bool ok, Reason reason) {
  if (rivals_.erase(id) > 0) {
    context_.trace.note(node, fmt::format("rival primary: {} {}", ok, code_of(reason)));
    return count_promotion(node, ok, reason);
  }
  if (const auto asked = outdates_.find(id); asked != outdates_.end()) {
    const FenceReport report = asked->second;
    outdates_.erase(asked);
    ++(ok ? context_.coverage.stood_aside : context_.coverage.command_refused[static_cast<size_t>(reason)]);
    const bool stale = !calm_ && prng_.chance(shape_.report_late);
    const Duration wait = stale ? prng_.between(seconds(3), seconds(15)) : prng_.between(milliseconds(10), milliseconds(800));
    context_.queue.after(wait, [this, report, ok] { finish_fence(report, ok ? kOutdated : kUnreachable); });
    return;
  }
  if (!command_ || command_->id != id || command_->node != node) return;
  const Then then = std::move(command_->then);
  command_.reset();
  then(ok, reason);
}

void Manager::process_ended(Seat node) {
  if (command_ && command_->node == node) command_.reset();
  std::vector<FenceReport> unanswered;
  std::erase_if(outdates_, [&](const auto& asked) {
    if (asked.second.peer == node) unanswered.push_back(asked.second);
    return asked.second.peer == node;
  });
  for (const FenceReport& report : unanswered)
    context_.queue.after(milliseconds(10), [this, report] { finish_fence(report, kUnreachable); });
}

// new-current-uuid as soon as everybody is connected.
void Manager::create() {
  for (size_t i = 0; i < founders(); ++i) {
    const SimNode* n = nodes_[i];
    if (!n->alive()) return;
    if (shape_.hasty) continue;
    const Snapshot status = n->inspect();
    const auto met = std::count_if(status.peers.begin(), status.peers.end(), [](const PeerSnapshot& p) { return p.connected; });
    if (static_cast<size_t>(met) + 1 < founders()) return;
  }
  send(*nodes_[prng_.below(founders())], AdminOp::new_current_uuid, [this](bool ok, Reason reason) {
    if (ok) created_ = true;
    if (!ok) ++context_.coverage.command_refused[static_cast<size_t>(reason)];
    context_.trace.note(kNoSeat, fmt::format("new-current-uuid: {} {}", ok, code_of(reason)));
  });
}

void Manager::supervise() {
  SimNode* current = primary();
  if (current != nullptr) {
    primary_seen_ = context_.queue.now();
    last_primary_ = current->seat();
    supervise_primary(*current);
    return;
  }
  // A frozen Primary looks like a dead one from here, but not at once.
  const bool lingering = std::any_of(nodes_.begin(), nodes_.end(), [](const SimNode* n) { return n->paused() && n->primary(); });
  if (lingering && context_.queue.now() - primary_seen_ < shape_.patience) return;
  if (!resting_ && context_.queue.now() >= next_try_) promote_somebody();
}

void Manager::supervise_primary(SimNode& node) {
  if (switch_wanted_ && switch_since_ == Instant{0}) switch_since_ = context_.queue.now();
  if (switch_wanted_) switch_over(node);
}

// Clients leave, the Primary steps down, the other one takes over. A Primary that cannot drain within three
// seconds stays.
void Manager::switch_over(SimNode& from) {
  SimNode* to = other(from);
  const bool too_long = context_.queue.now() - switch_since_ > seconds(3);
  if (to == nullptr || too_long) {
    switch_wanted_ = false;
    switch_since_ = Instant{0};
    workload_.hold(from.seat(), false);
    return;
  }
  workload_.hold(from.seat(), true);
  if (workload_.in_flight(from.seat()) > 0) return;
  send(from, AdminOp::secondary, [this, seat = from.seat(), target = to->seat()](bool ok, Reason reason) {
    switch_wanted_ = false;
    switch_since_ = Instant{0};
    workload_.hold(seat, false);
    context_.trace.note(seat, fmt::format("secondary: {} {}", ok, code_of(reason)));
    if (ok) {
      preferred_ = target;
      ++context_.coverage.switch_overs;
    } else {
      ++context_.coverage.command_refused[static_cast<size_t>(reason)];
    }
  });
}

void Manager::promote_somebody() {
  std::vector<SimNode*> able;
  for (SimNode* n : nodes_) {
    if (n->alive() && !forbidden_.contains(n->seat())) able.push_back(n);
  }
  if (able.empty()) return;
  SimNode* chosen = able[prng_.below(able.size())];
  for (SimNode* n : able) {
    if (preferred_ && n->seat() == *preferred_ && prng_.chance(75)) chosen = n;
  }
  next_try_ = context_.queue.now() + prng_.between(milliseconds(200), milliseconds(1200));
  send(*chosen, AdminOp::primary, [this, seat = chosen->seat()](bool ok, Reason reason) {
    context_.trace.note(seat, fmt::format("primary: {} {}", ok, code_of(reason)));
    count_promotion(seat, ok, reason);
    if (ok) preferred_ = seat;
  });
}

void Manager::count_promotion(Seat seat, bool ok, Reason reason) {
  if (ok) {
    ++context_.coverage.promotions;
    if (last_primary_ && *last_primary_ != seat) ++context_.coverage.survivor_promotions;
  } else {
    ++context_.coverage.promotions_refused;
    ++context_.coverage.promotion_refused[static_cast<size_t>(reason)];
  }
}

void Manager::rival(SimNode& node, Duration patience) { rival_try(node, context_.queue.now() + patience); }

void Manager::promote_anyway(SimNode& node) {
  const AdminId id{next_admin_++};
  rivals_.insert(id);
  node.post(AdminRequest{id, AdminOp::primary, {}, prng_.uuid(), {}, 0, false});
}

void Manager::rival_try(SimNode& node, Instant until) {
  if (calm_ || !created_ || context_.queue.now() > until) return;
  if (node.alive() && !node.primary() && !forbidden_.contains(node.seat())) {
    promote_anyway(node);
  }
  context_.queue.after(prng_.between(milliseconds(20), milliseconds(900)), [this, &node, until] { rival_try(node, until); });
}

// The handler always tells the truth: 7 only once the power is off, 6 only about a Primary. Late, doubled and failing ones are part
// of the truth.
void Manager::resync_wanted(Seat seat, Seat peer, uint64_t episode) {
  if (!calm_ && prng_.chance(20)) return;
  context_.queue.after(prng_.between(milliseconds(20), seconds(2)), [this, seat, peer, episode] {
    const AdminId id{(uint64_t{1} << 41) + ++resyncs_allowed_};  // apart from operators' commands
    if (node(seat).alive()) node(seat).post(AdminRequest{id, AdminOp::allow_resync, peer, {}, {}, episode, false});
  });
}

void Manager::fence_wanted(Seat seat, Seat peer, Boot evidence) {
  const FenceReport report{seat, node(seat).start_count(), peer, evidence};
  ++fences_under_way_;
  if (shape_.outdates > 0 && !calm_ && prng_.chance(shape_.outdates))
    return context_.queue.after(prng_.between(milliseconds(50), seconds(2)), [this, report] { ask_to_stand_aside(report); });
  const bool late = !calm_ && prng_.chance(shape_.fence_late);
  const Duration delay = late ? prng_.between(seconds(8), seconds(20)) : prng_.between(milliseconds(200), seconds(3));
  const bool completes = calm_ || prng_.chance(shape_.fence_completes);
  constexpr std::array kFailures = {1, 3, 5, -1};
  const int failure = kFailures[prng_.below(kFailures.size())];
  context_.queue.after(delay, [this, report, completes, failure] {
    if (completes) fence(report.by, report.peer);
    const bool found_primary = !completes && node(report.peer).primary() && prng_.chance(50);
    const int status = completes ? kFenced : found_primary ? kIsPrimary : failure;
    // The report may come when the machine has long been up again: it is then about a boot that is over.
    const bool stale = completes && !calm_ && prng_.chance(shape_.report_late);
    if (stale) ++context_.coverage.fence_reports_late;
    const Duration wait = stale ? prng_.between(seconds(3), seconds(15)) : prng_.between(milliseconds(10), milliseconds(800));
    context_.queue.after(wait, [this, report, status] { finish_fence(report, status); });
  });
}

// By another way than the network between the two.
void Manager::ask_to_stand_aside(const FenceReport& report) {
  if (!node(report.peer).alive()) return finish_fence(report, kUnreachable);
  const AdminId id{(uint64_t{1} << 42) + ++outdates_asked_};  // apart from operators' commands
  outdates_[id] = report;
  node(report.peer).post(AdminRequest{id, AdminOp::outdate, kNoSeat, {}, {}});
}

void Manager::fence(Seat by, Seat peer) {
  SimNode& victim = node(peer);
  victim.power_off();
  context_.oracle.fence_completed(by, peer, victim.boot());
  const bool at_once = prng_.chance(25);
  if (at_once) ++context_.coverage.fenced_back_at_once;
  const Duration off = at_once ? prng_.between(microseconds(1), milliseconds(20)) : prng_.between(seconds(1), seconds(6));
  context_.queue.after(off, [&victim] {
    victim.power_on();
    victim.start();
  });
}

void Manager::finish_fence(const FenceReport& report, int status) {
  --fences_under_way_;
  if (node(report.by).start_count() != report.start) return;
  ++(status == kFenced ? context_.coverage.fences_completed : context_.coverage.fences_failed);
  if (status == kIsPrimary) ++context_.coverage.fences_of_a_primary;
  tell(report, status);
  // Once more, when it may be the truth about an earlier boot.
  if (calm_ || status == kOutdated || !prng_.chance(shape_.report_twice)) return;
  ++context_.coverage.fence_reports_twice;
  context_.queue.after(prng_.between(milliseconds(10), seconds(12)), [this, report, status] { tell(report, status); });
}

void Manager::tell(const FenceReport& report, int status) {
  SimNode& asker = node(report.by);
  if (asker.start_count() == report.start) asker.post(FenceDone{report.peer, report.evidence, status});
}

}  // namespace lockstep::sim
