// Plays a story's commands on a stage and gives what they print. README.md in this folder lists the commands.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "scenario/stage.h"
#include "scenario/words.h"

namespace lockstep::scenario {

class Player {
 public:
  // The seed draws what a story does not say: delays of disks and messages, the clocks, identities.
  Player(uint64_t seed, bool trace) : seed_(seed), trace_(trace) {}

  // What the commands print, line by line. A command that makes no sense throws std::runtime_error.
  std::string play(std::string_view command);
  // Once an oracle has objected, nothing more is played. What it said is part of what play() gave.
  bool over() const { return stage_ && stage_->oracle().failed(); }
  // What there is to say at the end: nothing, or what did not happen and what is broken.
  std::string finish();
  std::vector<sim::Violation> violations() const {
    return stage_ ? stage_->oracle().violations() : std::vector<sim::Violation>();
  }

 private:
  using Handler = void (Player::*)(Words&);
  struct Command {
    std::string_view name;
    Handler handler;
  };
  static const Command* find(std::string_view name);

  // The cluster and its operator.
  void cluster(Words& words);
  void promote(Words& words);
  void demote(Words& words) { tell(words, AdminOp::secondary, "is Secondary"); }
  void invalidate(Words& words) { tell(words, AdminOp::invalidate, "gave up its copy"); }
  void detach(Words& words) { tell(words, AdminOp::detach, "let go of its disk"); }
  void attach(Words& words);
  void outdate(Words& words) { tell(words, AdminOp::outdate, "is Outdated"); }
  void invalidate_remote(Words& words);
  void stop(Words& words);
  void answer(Words& words);
  void create(Words& words) { tell(words, AdminOp::new_current_uuid, "created the resource"); }
  void connect(Words& words);
  void discard(Words& words);
  void disconnect(Words& words);
  void fence(Words& words);

  // Its clients.
  void write(Words& words) { ask(words, OpKind::write); }
  void read(Words& words) { ask(words, OpKind::read); }
  void flush(Words& words) { ask(words, OpKind::flush); }
  void trim(Words& words) { ask(words, OpKind::trim); }
  void zero(Words& words) { ask(words, OpKind::write_zeroes); }
  void check(Words& words);

  // What goes wrong.
  void kill(Words& words);
  void start(Words& words);
  void power_off(Words& words);
  void power_on(Words& words);
  void pause(Words& words);
  void resume(Words& words);
  void cut(Words& words) { block(words, true); }
  void mend(Words& words) { block(words, false); }
  void reset(Words& words);
  void wipe(Words& words);
  void image(Words& words);
  void restore(Words& words);
  void disk(Words& words);
  void at(Words& words);

  // Time, and looking.
  void run(Words& words);
  void until(Words& words);
  void status(Words& words);
  void tenure(Words& words);
  void copies(Words& words);
  void whole(Words& words);

  Stage& stage();
  sim::SimNode& node(Words& words);
  sim::SimNode& node(Seat seat);
  sim::SimNode& peer_of(Seat seat, Words& words);
  sim::SimWitness* witness(Seat seat);
  Seat member(Words& words);
  Seat far_end(Seat near, Words& words);
  void tell(Words& words, AdminOp op, std::string_view done);
  Stage::Answer tell(Seat seat, AdminOp op, Seat peer, std::string_view done, Duration patience);
  void print_answer(Seat seat, const Stage::Answer& answer, std::string_view done);
  void await_start(sim::SimNode& node);
  void await_idle_disk(sim::SimNode& node);
  void ask(Words& words, OpKind kind);
  Range take_range(Words& words, OpKind kind);
  void block(Words& words, bool blocked);
  std::function<bool()> condition(Words& words);
  std::string outcome(const std::string& name, uint64_t index);
  std::string content(uint64_t block, uint64_t version) const;
  std::string status_of(sim::SimNode& node);
  void tell_violations();
  void print(std::string line) { printed_ += std::move(line) + "\n"; }

  uint64_t seed_;
  bool trace_;
  std::unique_ptr<Stage> stage_;
  std::map<std::string, uint64_t> named_;  // requests, by the name that they have in the story
  std::map<uint64_t, std::string> names_;
  std::string printed_;
  std::map<Seat, std::shared_ptr<const sim::SimDisk::Image>> images_;  // the latest of each node and witness
  std::map<Seat, WitnessRecord> witness_images_;
  bool at_once_ = false;  // within an action that happens at a moment: nothing may be waited for
  size_t violations_told_ = 0;
};

}  // namespace lockstep::scenario
