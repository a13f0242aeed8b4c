// A witness: an Acceptor, its stable storage and its connections. What the witness program does with files
// and sockets.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/membership/witness_voter.h"
#include "sim/sim_node.h"

namespace lockstep::sim {

class SimWitness : public Endpoint {
 public:
  SimWitness(SimContext context, Prng prng, Seat seat, int drift_permille);

  void start();
  void kill();
  void wipe();  // the state file is gone: a new acceptor. Only while it does not run.
  void pause();
  void resume();

  // Its state is what it was at an earlier time. Only while it does not run.
  void restore(const WitnessRecord& older);
  // Its state is of an earlier life of the resource. Only while it does not run.
  void remember(const Tenure& earlier);
  bool set_back() const { return set_back_; }

  bool up() const { return voter_.has_value(); }
  bool paused() const { return paused_; }
  Seat seat() const { return seat_; }
  const Uuid& acceptor() const { return stable_.acceptor.acceptor; }
  const WitnessRecord& stable() const { return stable_; }

  bool running() const override { return up(); }
  bool silent() const override { return paused_; }
  bool refuses(Seat) const override { return false; }
  void link_up(Seat, LinkId) override {}
  void link_down(Seat peer, LinkId link) override { introduced_.erase({peer, link}); }
  void receive(Seat from, LinkId link, const Message& message, Payload payload) override;

 private:
  struct Mail {
    Seat from;
    LinkId link;
    std::shared_ptr<const Message> message;
  };
  WitnessRecord fresh();
  void begin_anew();
  void handle(const Mail& mail);
  void answer(const Mail& mail, const VoterAnswer& answer);
  Instant local() const { return clock_.local(context_.queue.now()); }

  SimContext context_;
  Prng prng_;
  Seat seat_;
  int drift_permille_;
  SimClock clock_;
  Boot boot_;
  WitnessRecord stable_;
  bool set_back_ = false;
  std::optional<WitnessVoter> voter_;
  std::set<std::pair<Seat, LinkId>> introduced_;
  bool paused_ = false;
  std::vector<Mail> inbox_;
  uint64_t life_ = 0;
  uint64_t file_ = 0;        // grows when the state file is replaced: what was being written to the one before lands nowhere
  Instant last_written_{0};  // record writes complete in the order in which they were begun
};

}  // namespace lockstep::sim
