// The fault "forced history": an operator believes that the other nodes are gone for good, and forces the one that is left. They come back,
// the histories meet, and the operator gives one of them up. What any operator could do wrong besides (two Primaries that both serve) is
// left to the stories: no history of reads and writes is right then.
#include <algorithm>

#include "sim/injector.h"
#include "sim/world.h"

namespace lockstep::sim {

struct Injector::Split {
  SimNode* survivor;
  std::vector<SimNode*> others;
  uint64_t left_at = 0;  // the number that the parent had come to, as the survivor knew
  int tries = 0;
  int stuck = 0;  // how often one history was seen in which nothing moves

  std::vector<SimNode*> all() const {
    std::vector<SimNode*> nodes = others;
    nodes.push_back(survivor);
    return nodes;
  }
};

namespace {

Uuid history_of(const SimNode& node) {
  const auto& adopted = node.disk().record().adopted;
  return adopted ? adopted->history : Uuid{};
}

bool one_history(const std::vector<SimNode*>& nodes) {
  return std::all_of(nodes.begin(), nodes.end(), [&](const SimNode* n) { return history_of(*n) == history_of(*nodes.front()); });
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

// Somebody may still stand alone because of a history that the other one was giving up at that moment (seed 1511983).
void connect_all(const std::vector<SimNode*>& nodes) {
  for (SimNode* one : nodes) {
    for (const SimNode* other : nodes) one->set_stand_alone(other->seat(), false);
  }
}

bool sees_split(const SimNode& node, Seat other) {
  const Snapshot status = node.inspect();
  return std::any_of(status.peers.begin(), status.peers.end(),
                     [other](const PeerSnapshot& p) { return p.node == other && p.refused == Reason::different_history; });
}

}  // namespace

void Injector::force_history() {
  if (forcing_ || !world_.manager().created()) return;
  SimNode& survivor = any_node();
  const auto split = std::make_shared<Split>(Split{&survivor, {}, 0, 0, 0});
  for (size_t i = 0; i < world_.node_count(); ++i) {
    if (&world_.node(i) != &survivor) split->others.push_back(&world_.node(i));
  }
  for (const SimNode* node : split->all()) {
    if (node->disk().set_back()) return;
  }
  forcing_ = true;
  if (!prng_.chance(50)) return leave_alone(split);
  // The wrong one: it has been away, and the others have gone on without it.
  survivor.kill();
  later(seconds(2), seconds(9), [this, split] {
    split->survivor->power_on();
    split->survivor->start();
    if (stopped_) {
      forcing_ = false;
    } else {
      leave_alone(split);
    }
  });
}

void Injector::leave_alone(const std::shared_ptr<Split>& split) {
  for (SimNode* other : split->others) {
    world_.manager().forbid(other->seat(), true);
    other->kill();
  }
  if (world_.witness_count() > 0 && prng_.chance(60)) any_witness().kill();
  later(milliseconds(200), seconds(5), [this, split] { try_force(split); });
}

// Again and again until a new history is there: nodes die in the middle of it, too.
void Injector::try_force(const std::shared_ptr<Split>& split) {
  constexpr int kMostTries = 12;
  const bool two = !one_history(split->all());
  if (two) world_.coverage().hit(Fault::forced_history);
  if (two || stopped_ || ++split->tries > kMostTries || !has_data(*split->survivor)) return bring_back(split);
  if (split->survivor->disk().record().adopted) split->left_at = split->survivor->disk().record().adopted->number;
  world_.manager().command(*split->survivor, AdminOp::primary_force, [](bool) {});
  later(milliseconds(500), seconds(3), [this, split] { try_force(split); });
}

void Injector::bring_back(const std::shared_ptr<Split>& split) {
  for (SimNode* other : split->others) {
    later(microseconds(1), seconds(1), [other] {
      other->power_on();
      other->start();
    });
  }
  for (size_t i = 0; i < world_.witness_count(); ++i) world_.witness(i).start();
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
  const auto nodes = split.all();
  const auto decides = [this](const SimNode* n) { return may_decide(*n); };
  return one_history(nodes) && std::any_of(nodes.begin(), nodes.end(), decides) &&
         std::all_of(nodes.begin(), nodes.end(), [](const SimNode* n) { return of_one_mind(*n); });
}

void Injector::sort_out(const std::shared_ptr<Split>& split) {
  const auto nodes = split->all();
  // Nobody is to be Primary in the end: what was forced for the sake of votes steps down.
  const auto primary = std::find_if(nodes.begin(), nodes.end(), [](const SimNode* n) { return n->primary(); });
  if (world_.manager().resting() && primary != nodes.end() && sorted_out(*split)) {
    // Under load it would refuse: io-pending (seed 369888239877).
    const Seat seat = (*primary)->seat();
    world_.workload().hold(seat, true);
    world_.manager().command(**primary, AdminOp::secondary, [this, seat](bool) { world_.workload().hold(seat, false); });
    return later(milliseconds(300), milliseconds(900), [this, split] { sort_out(split); });
  }
  if (sorted_out(*split) && !world_.manager().busy()) {
    for (const SimNode* node : nodes) {
      world_.manager().forbid(node->seat(), false);
      world_.workload().hold(node->seat(), false);
    }
    connect_all(nodes);
    forcing_ = false;
    return watch(split);
  }
  later(milliseconds(300), milliseconds(900), [this, split] { sort_out(split); });
  if (std::any_of(nodes.begin(), nodes.end(), [](const SimNode* n) { return !n->alive(); })) return;
  connect_all(nodes);
  if (prng_.chance(10)) promote_who_was_left();  // he is mistaken about which one it is
  if (one_history(nodes)) {
    if (primary == nodes.end()) force_once_more(*split);
    return;
  }
  if (may_go_back(*split) && prng_.chance(30)) return give_up(*split->survivor, *split->others.front());
  for (SimNode* other : split->others) {
    if (history_of(*other).is_nil() || history_of(*other) == history_of(*split->survivor)) continue;
    if (sees_split(*other, split->survivor->seat()) && sees_split(*split->survivor, other->seat()))
      return give_up(*other, *split->survivor);
  }
}

// A voter that a seat was being given to is gone for good: nobody can tell what was decided.
void Injector::force_once_more(Split& split) {
  constexpr int kEnough = 25;
  if (++split.stuck <= kEnough) return;
  const auto worth_it = [](const SimNode* n) {
    const NodeRecord& record = n->disk().record();
    return record.adopted && record.adopted->members.contains(n->seat()) && !record.inconsistent && has_data(*n);
  };
  const auto nodes = split.all();
  for (const SimNode* n : nodes) world_.manager().forbid(n->seat(), true);  // or the manager's own attempts were in the way
  const auto better = std::find_if(nodes.begin(), nodes.end(), worth_it);
  SimNode* node = better == nodes.end() ? split.survivor : *better;
  if (!has_data(*node)) return;
  if (!world_.manager().command(*node, AdminOp::primary_force, [](bool) {})) return;
  split.stuck = 0;
  split.survivor = node;  // the others come over to this one, or it goes back
  split.others.clear();
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(split.others), [node](const SimNode* n) { return n != node; });
  if (node->disk().record().adopted) split.left_at = node->disk().record().adopted->number;
  for (const SimNode* n : nodes) world_.manager().forbid(n->seat(), n != node);
}

// Going back is possible only where the parent still has its quorum, and a copy that is worth it.
bool Injector::may_go_back(const Split& split) const {
  const SimNode& b = *split.others.front();
  const NodeRecord& there = b.disk().record();
  if (!there.adopted || split.survivor->primary() || !one_history(split.others)) return false;
  if (!sees_split(b, split.survivor->seat()) || !sees_split(*split.survivor, b.seat())) return false;
  const bool worth_it = there.adopted->members.contains(b.seat()) && !there.inconsistent && !there.doubtful;
  return worth_it && there.adopted->number >= split.left_at && b.inspect().quorum;
}

// A force that was answered "timed-out", or whose node died, may still be decided long after: an operator who sees two histories comes back.
void Injector::watch(const std::shared_ptr<Split>& split) {
  if (forcing_) return;  // another force: its own operator is there
  if (one_history(split->all())) {
    return later(milliseconds(500), milliseconds(500), [this, split] { watch(split); });
  }
  forcing_ = true;
  for (const SimNode* other : split->others) world_.manager().forbid(other->seat(), true);
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
