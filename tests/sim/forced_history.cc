// The fault "forced history": an operator believes that the other nodes are gone for good, and forces the one that is left. They come back,
// the histories meet, and the operator gives one of them up. What any operator could do wrong besides (two Primaries that both serve) is
// left to the stories: no history of reads and writes is right then.
#include <algorithm>

#include "sim/injector.h"
#include "sim/world.h"

namespace lockstep::sim {

struct Injector::Split {
  SimNode& survivor;
  SimNode& other;
  uint64_t left_at = 0;  // the number that the parent had come to, as the survivor knew
  int tries = 0;
  int stuck = 0;  // how often one history was seen in which nothing moves
};

namespace {

Uuid history_of(const SimNode& node) {
  const auto& adopted = node.disk().record().adopted;
  return adopted ? adopted->history : Uuid{};
}

// A blank disk that was never levelled in full: nobody takes that for data.
bool has_data(const SimNode& node) {
  const auto& blocks = node.disk().data();
  return std::find(blocks.begin(), blocks.end(), kGarbage) == blocks.end();
}

// Its own vote is for what it has adopted: in that history, and nothing is open.
bool of_one_mind(const SimNode& node) {
  const NodeRecord& record = node.disk().record();
  return record.adopted && (!record.acceptor.tenure || record.acceptor.tenure == record.adopted);
}

}  // namespace

void Injector::force_history() {
  if (forcing_ || world_.node_count() != 2 || !world_.manager().created()) return;
  SimNode& survivor = any_node();
  SimNode& other = world_.node(survivor.seat().value == 0 ? 1 : 0);
  if (survivor.disk().set_back() || other.disk().set_back()) return;
  forcing_ = true;
  world_.manager().forbid(other.seat(), true);
  other.kill();
  if (world_.witness_count() > 0 && prng_.chance(60)) world_.witness(0).kill();
  const auto split = std::make_shared<Split>(Split{survivor, other, 0, 0, 0});
  later(milliseconds(200), seconds(5), [this, split] { try_force(split); });
}

// Again and again until a new history is there: nodes die in the middle of it, too.
void Injector::try_force(const std::shared_ptr<Split>& split) {
  constexpr int kMostTries = 12;
  const bool two = history_of(split->survivor) != history_of(split->other);
  if (two) world_.coverage().hit(Fault::forced_history);
  if (two || stopped_ || ++split->tries > kMostTries || !has_data(split->survivor)) return bring_back(split);
  if (split->survivor.disk().record().adopted) split->left_at = split->survivor.disk().record().adopted->number;
  world_.manager().command(split->survivor, AdminOp::primary_force, [](bool) {});
  later(milliseconds(500), seconds(3), [this, split] { try_force(split); });
}

void Injector::bring_back(const std::shared_ptr<Split>& split) {
  split->other.power_on();
  split->other.start();
  if (world_.witness_count() > 0) world_.witness(0).start();
  later(milliseconds(300), seconds(2), [this, split] { sort_out(split); });
}

// Enough of the voters that its tenure names are there, and in its history.
bool Injector::may_decide(const SimNode& node) const {
  const auto& tenure = node.disk().record().adopted;
  if (!tenure) return false;
  size_t votes = 0;
  for (const Voter& voter : tenure->voters) {
    const AcceptorRecord& there = voter.seat.is_witness() ? world_.witness(voter.seat.value - kMaxDataNodes).stable().acceptor
                                                          : world_.node(voter.seat.value).disk().record().acceptor;
    const bool here = there.tenure && there.tenure->history == tenure->history;
    votes += here && there.acceptor == voter.acceptor ? 1 : 0;
  }
  return 2 * votes > tenure->voters.size();
}

// One history, and everybody votes in it. A command whose node died in the middle may have left a vote behind in a history that nobody
// has: then the operator forces once more.
bool Injector::sorted_out(const Split& split) const {
  if (!may_decide(split.other) && !may_decide(split.survivor)) return false;
  return history_of(split.survivor) == history_of(split.other) && of_one_mind(split.survivor) && of_one_mind(split.other);
}

void Injector::sort_out(const std::shared_ptr<Split>& split) {
  SimNode& a = split->survivor;
  SimNode& b = split->other;
  // Nobody is to be Primary in the end: what was forced for the sake of votes steps down.
  SimNode* forced = a.primary() ? &a : b.primary() ? &b : nullptr;
  if (world_.manager().resting() && forced != nullptr && sorted_out(*split)) {
    world_.manager().command(*forced, AdminOp::secondary, [](bool) {});
    return later(milliseconds(300), milliseconds(900), [this, split] { sort_out(split); });
  }
  if (sorted_out(*split) && !world_.manager().busy()) {
    world_.manager().forbid(b.seat(), false);
    forcing_ = false;
    return watch(split);
  }
  later(milliseconds(300), milliseconds(900), [this, split] { sort_out(split); });
  if (!a.alive() || !b.alive()) return;
  a.set_stand_alone(b.seat(), false);
  b.set_stand_alone(a.seat(), false);
  if (history_of(a) == history_of(b)) {
    // A voter that a seat was being given to is gone for good: nobody can tell what was decided. The operator forces once more.
    constexpr int kEnough = 25;
    const auto& there = b.disk().record().adopted;
    SimNode& better = there && there->members.contains(b.seat()) ? b : a;
    if (!a.primary() && !b.primary() && ++split->stuck > kEnough &&
        world_.manager().command(better, AdminOp::primary_force, [](bool) {}))
      split->stuck = 0;
    return;
  }
  const auto sees_split = [](const SimNode& node) { return node.inspect().peers.front().refused == Reason::different_history; };
  if (history_of(a).is_nil() || history_of(b).is_nil() || !sees_split(a) || !sees_split(b)) return;
  // Going back is possible only where the parent still has its quorum, and a copy that is worth it.
  const NodeRecord& there = b.disk().record();
  const bool worth_it = there.adopted->members.contains(b.seat()) && !there.inconsistent && !there.doubtful;
  const bool back = worth_it && there.adopted->number >= split->left_at && b.inspect().quorum && !a.primary() && prng_.chance(30);
  back ? give_up(a, b) : give_up(b, a);
}

// A force that was answered "timed-out", or whose node died, may still be decided long after: an operator who sees two histories comes back.
void Injector::watch(const std::shared_ptr<Split>& split) {
  if (forcing_) return;  // another force: its own operator is there
  if (history_of(split->survivor) == history_of(split->other)) {
    return later(milliseconds(500), milliseconds(500), [this, split] { watch(split); });
  }
  forcing_ = true;
  world_.manager().forbid(split->other.seat(), true);
  sort_out(split);
}

void Injector::give_up(SimNode& loser, SimNode& winner) {
  if (loser.primary()) return;
  world_.manager().command(
      loser, AdminOp::discard_history,
      [this, &loser, &winner](bool ok) {
        if (!ok) return;
        world_.trace().note(loser.seat(), "its history was given up");
        later(microseconds(1), milliseconds(1), [this, &loser, &winner] {
          loser.kill();
          winner.set_stand_alone(loser.seat(), false);
          later(milliseconds(10), seconds(1), [&loser] { loser.start(); });
        });
      },
      winner.seat());
}

}  // namespace lockstep::sim
