// The cluster that a story is played on: the simulator's, with nobody in it who acts by himself. Nodes are a,
// b, c; witnesses w, v.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/ambush.h"
#include "sim/world.h"

namespace lockstep::scenario {

class Stage : public sim::World {
 public:
  Stage(const sim::Plan& plan, sim::TraceDetail trace) : World(plan, trace) {}

  // An operator's command on a node, until it is answered or `patience` is over.
  struct Answer {
    bool answered = false;
    bool ok = false;
    Reason reason = Reason::none;
  };
  Answer command(sim::SimNode& node, AdminOp op, Seat peer, Duration patience);
  // The answer to the last command that this node was given.
  Answer answer_of(sim::SimNode& node, Duration patience);

  // What became so far of a client's request (an index in the history).
  enum class Outcome : uint8_t { waits, acknowledged, failed, unknown };
  uint64_t ask(sim::SimNode& node, const sim::ClientOp& op);
  Outcome outcome(uint64_t op);

  // Does `action` right after `node` has done, for the `nth` time from now on, what `moment` names.
  void when(Seat node, sim::Moment moment, uint64_t nth, std::function<void()> action);
  size_t actions_left() const { return armed_.size(); }

  // A fence that a node's handler was started for and that has not ended. Ending it says what it reports.
  struct Fence {
    Seat by;
    Seat peer;
    Boot evidence;
    uint64_t start = 0;  // of the node that asked: another run of it has no such handler
  };
  std::optional<Fence> fence_of(Seat by, Seat peer) const;
  void end_fence(const Fence& fence, int exit_status);

  // NodeListener
  void admin_answered(Seat node, AdminId id, bool ok, Reason reason) override;
  void resync_wanted(Seat, Seat, uint64_t) override {}  // no story has such a handler
  void fence_wanted(Seat node, Seat peer, Boot evidence) override;
  void effect_done(Seat node, const Effect& effect) override;
  void process_ended(Seat node) override;

 private:
  struct Armed {
    Seat node;
    sim::Moment moment;
    uint64_t left;
    std::function<void()> action;
  };
  std::map<AdminId, Answer> answers_;
  std::set<uint64_t> asked_;    // and perhaps not answered
  std::set<uint64_t> unknown_;  // will never be answered: the process is gone
  std::vector<Armed> armed_;
  std::vector<Fence> fences_;
  std::map<Seat, AdminId> last_admin_;
  uint64_t next_admin_ = 1;
};

// Names, as stories have them.
std::optional<Seat> seat_named(std::string_view name);
std::string name_of(Seat seat);
std::string name_of(SeatSet seats);
std::optional<sim::Moment> moment_named(std::string_view name);

}  // namespace lockstep::scenario
