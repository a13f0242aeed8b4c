#include "scenario/stage.h"

#include <algorithm>
#include <array>

namespace lockstep::scenario {
namespace {

using sim::Moment;

struct MomentName {
  std::string_view name;
  Moment moment;
};

constexpr auto kMoments = std::to_array<MomentName>({
    {"record-write", Moment::record_write},
    {"intent-write", Moment::intent_write},
    {"bitmap-write", Moment::bitmap_write},
    {"prepare-sent", Moment::prepare_sent},
    {"accept-sent", Moment::accept_sent},
    {"vote-sent", Moment::vote_sent},
    {"write-sent", Moment::write_sent},
    {"write-reply-sent", Moment::write_reply_sent},
    {"flush-sent", Moment::flush_sent},
    {"resync-map-sent", Moment::resync_map_sent},
    {"resync-write-sent", Moment::resync_write_sent},
    {"join-prepare-sent", Moment::join_prepare_sent},
    {"join-ready-sent", Moment::join_ready_sent},
    {"adopted-sent", Moment::adopted_sent},
    {"answered", Moment::answered},
    {"read-begun", Moment::read_begun},
    {"tenure-decided", Moment::tenure_decided},
    {"tenure-adopted", Moment::tenure_adopted},
    {"became-primary", Moment::became_primary},
    {"peer-dropped", Moment::peer_dropped},
    {"peer-joined", Moment::peer_joined},
});
static_assert(kMoments.size() == sim::kMoments);

}  // namespace

Stage::Answer Stage::command(sim::SimNode& node, AdminOp op, Seat peer, Duration patience) {
  const AdminId id{next_admin_++};
  // Of what a history is named after: new for each command, the same in each run.
  Uuid fresh;
  fresh.bytes[0] = static_cast<uint8_t>(id.value);
  fresh.bytes[15] = 1;
  last_admin_[node.seat()] = id;
  node.post(AdminRequest{id, op, peer, fresh, {}});
  return answer_of(node, patience);
}

Stage::Answer Stage::answer_of(sim::SimNode& node, Duration patience) {
  const AdminId id = last_admin_[node.seat()];
  run_until(patience, [&] { return answers_.contains(id) || !node.running(); });
  const auto found = answers_.find(id);
  return found == answers_.end() ? Answer{} : found->second;
}

uint64_t Stage::ask(sim::SimNode& node, const sim::ClientOp& op) {
  const uint64_t index = workload().issue(node.seat(), op);
  asked_.insert(index);
  return index;
}

Stage::Outcome Stage::outcome(uint64_t index) {
  const sim::ClientOp& op = oracle().history().op(index);
  if (op.acknowledged) return Outcome::acknowledged;
  if (op.refused) return Outcome::failed;
  return unknown_.contains(index) ? Outcome::unknown : Outcome::waits;
}

void Stage::when(Seat node, Moment moment, uint64_t nth, std::function<void()> action) {
  armed_.push_back({node, moment, nth, std::move(action)});
}

std::optional<Stage::Fence> Stage::fence_of(Seat by, Seat peer) const {
  // The latest: a node that has started again since runs another one.
  const auto found = std::find_if(fences_.rbegin(), fences_.rend(), [&](const Fence& f) { return f.by == by && f.peer == peer; });
  return found == fences_.rend() ? std::nullopt : std::optional(*found);
}

void Stage::end_fence(const Fence& fence, int exit_status) {
  std::erase_if(fences_, [&](const Fence& f) { return f.by == fence.by && f.peer == fence.peer; });
  sim::SimNode& by = node(fence.by.value);
  if (by.start_count() == fence.start) by.post(FenceDone{fence.peer, fence.evidence, exit_status});
}

void Stage::admin_answered(Seat, AdminId id, bool ok, Reason reason) { answers_[id] = {true, ok, reason}; }

void Stage::fence_wanted(Seat by, Seat peer, Boot evidence) {
  fences_.push_back({by, peer, evidence, node(by.value).start_count()});
}

// A moment later, as an effect must not change the node that is carrying it out.
void Stage::effect_done(Seat node, const Effect& effect) {
  for (auto it = armed_.begin(); it != armed_.end(); ++it) {
    if (it->node != node || !is(it->moment, effect) || --it->left > 0) continue;
    queue().after(microseconds(1), std::move(it->action));
    armed_.erase(it);
    return;
  }
}

void Stage::process_ended(Seat seat) {
  World::process_ended(seat);
  for (uint64_t index : asked_) {
    const sim::ClientOp& op = oracle().history().op(index);
    if (op.node == seat && !op.acknowledged && !op.refused) unknown_.insert(index);
  }
}

std::optional<Seat> seat_named(std::string_view name) {
  if (name.size() != 1) return std::nullopt;
  if (name[0] >= 'a' && name[0] < 'a' + kMaxDataNodes) return Seat{static_cast<uint8_t>(name[0] - 'a')};
  if (name == "w") return witness_seat(0);
  if (name == "v") return witness_seat(1);
  return std::nullopt;
}

std::string name_of(Seat seat) {
  if (!seat.is_witness()) return std::string(1, static_cast<char>('a' + seat.value));
  return seat == witness_seat(0) ? "w" : "v";
}

std::string name_of(SeatSet seats) {
  std::string text;
  for (Seat seat : seats) text += (text.empty() ? "" : " ") + name_of(seat);
  return "{" + text + "}";
}

std::optional<Moment> moment_named(std::string_view name) {
  for (const MomentName& row : kMoments) {
    if (row.name == name) return row.moment;
  }
  return std::nullopt;
}

}  // namespace lockstep::scenario
