// The tenure register alone, every order of everything: two candidates run rounds against the real Acceptor and the real Round,
// and every message that was ever sent may arrive at any time, or never. Depth-first over all states within the bounds.
//
// What is from the programs: Acceptor and Round. What is the model's, as simple as it can be while it follows membership/rounds.cc
// and fencing.cc: which value a candidate proposes, when it takes a decision for known, and when it may decide as half.
// Not here: leases (time), which the simulator and the unit tests hold, and creation.
//
// Left out, because something that is visited can do all that it could: with a witness, where boots do not matter, answers that do not yet end
// a phase of a round (they arrive together with the one that ends it); a request to prepare whose answer nobody waits for, where its refusals
// are all that it changes; a candidate that begins no more rounds; values that nobody and no message has any more.
//
// Checked whenever a round decides: no two decided values have one number, and each follows the decided one before it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/membership/round.h"
#include "core/message.h"
#include "core/tenure.h"

namespace lockstep::model {

struct Bounds {
  bool witness = true;  // three voters; without: two voters, where a fence can break a tie
  int rounds = 1;       // that each candidate begins
  int crashes = 1;      // of a candidate
  int wipes = 1;        // of the witness's storage
  int fences = 0;       // completed ones
  // Rules to leave out, to see that the check notices.
  bool forget_found = false;     // propose one's own value whatever the promises showed
  bool half_unseasoned = false;  // a half decides although nobody told it that its acceptance counted
  bool old_evidence = false;     // evidence about a boot that is over counts
  bool deaf_voters = false;      // a voter does not notice from which boot it is asked
};

using ValueId = int16_t;  // of a tenure, in the model's table; -1: none
using MessageId = uint16_t;

struct VoterState {
  uint8_t life = 0;  // how often its storage was emptied: its acceptor uuid
  uint8_t boot = 0;
  bool up = true;
  Ballot promised, accepted;
  ValueId value = -1;
};

struct CandidateState {
  uint8_t start = 1;
  uint8_t rounds_left = 0;
  uint8_t counter = 1;
  ValueId adopted = 0;
  ValueId undecided = -1;
  bool in_round = false;
  Ballot ballot;
  bool half = false;  // the round may be decided by this node alone
  ValueId proposed = -1;
  std::vector<MessageId> delivered;  // answers to this round, in the order in which they were sent
  bool seasoned = true;
  uint8_t known_boot = 0;  // of the other data node
  int8_t ended = -1;       // boot of the other node that a fence has ended, as far as this node was told
};

struct State {
  std::array<VoterState, 3> voters;                  // a, b, witness
  std::array<CandidateState, 2> candidates;          // a, b
  std::vector<MessageId> sent;                       // sorted
  std::vector<ValueId> decided;                      // in the order of their decisions
  std::vector<std::pair<ValueId, ValueId>> lineage;  // sorted: a value, and the one that its proposer had adopted
  std::array<int8_t, 2> reports = {-1, -1};          // by candidate: boot of the other one whose end its handler may report
  uint8_t crashes = 0, wipes = 0, fences = 0;
};

class RegisterModel {
 public:
  explicit RegisterModel(const Bounds& bounds);
  // Visits everything. False when a check failed: then path() tells how.
  bool run();
  uint64_t states() const { return states_; }
  uint64_t transitions() const { return transitions_; }
  uint64_t decisions() const { return decisions_; }  // states in which something beyond the first tenure is decided
  size_t values() const { return values_.size(); }
  const std::vector<std::string>& path() const { return path_; }
  const std::string& objection() const { return objection_; }

 private:
  struct Mail {
    Seat from;
    Seat to;
    Message message;
    friend bool operator==(const Mail&, const Mail&) = default;
  };
  static const VoterIdentity& voice_of(const Mail& mail);
  static uint64_t likeness(const Mail& mail);
  bool visit(const State& state);
  bool follow(State next, const std::string& what);
  bool first_time(const State& state);
  void forget_the_ineffective(State& state) const;
  void forget_lost_values(State& state) const;
  void forget_the_exhausted(State& state) const;
  bool can_matter(const State& state, const Mail& mail) const;
  bool prepare_can_matter(const State& state, const Mail& mail) const;

  bool rounds_begin(const State& state);
  bool mail_arrives(const State& state);
  void hear_boot(State& state, size_t who, const Boot& boot) const;
  bool ask(State& state, const Mail& mail);
  void ask_all(State& state, size_t who, const Message& message);
  bool at_voter(const State& state, const Mail& mail);
  bool at_candidate(const State& state, MessageId id, const Mail& mail);
  bool answers_complete_a_phase(const State& state);
  bool completes(const CandidateState& candidate, size_t who) const;
  bool phase_is_over(State next, size_t who, const std::string& what);
  bool decisions_become_known(const State& state);
  bool things_go_wrong(const State& state);
  bool fence_reports(const State& state);

  Round rebuild(const CandidateState& candidate, size_t who) const;
  std::vector<Tenure> proposals(const State& state, size_t who, const std::optional<Tenure>& found) const;
  bool decide(State& state, size_t who);
  bool may_be_half(const CandidateState& candidate) const;

  void send(State& state, Seat from, Seat to, const Message& message);
  ValueId intern(const Tenure& tenure);
  ValueId find(const Tenure& tenure) const;
  static const Tenure* value_in(const Mail& mail);
  MessageId intern(const Mail& mail);
  Uuid acceptor_of(size_t voter, uint8_t life) const;
  Boot boot_of(size_t voter, uint8_t boot) const;
  Holder holder(const State& state, size_t who) const;
  size_t voters() const { return bounds_.witness ? 3 : 2; }

  Bounds bounds_;
  std::vector<Tenure> values_;
  std::vector<Mail> mails_;
  std::vector<ValueId> carried_;                                    // by mail: the value in it
  std::unordered_map<uint64_t, std::vector<MessageId>> mail_like_;  // by what it is about, to find it again
  struct Print {
    uint64_t a, b;
    friend bool operator==(const Print&, const Print&) = default;
  };
  struct PrintHash {
    size_t operator()(const Print& p) const { return p.a; }
  };
  std::unordered_set<Print, PrintHash> seen_;
  uint64_t states_ = 0, transitions_ = 0, decisions_ = 0;
  std::vector<std::string> path_;
  std::string objection_;
};

}  // namespace lockstep::model
