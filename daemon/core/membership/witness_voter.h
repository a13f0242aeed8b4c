// All that a witness decides for one resource: which run of a node it speaks to, and how its acceptor votes.
//
// Pure. Its owner keeps record() on stable storage, as Acceptor says, and for each connection whether the node at its other end was
// introduced: nothing else counts before that.
#pragma once

#include <optional>

#include "core/membership/acceptor.h"
#include "core/message.h"

namespace lockstep {

struct WitnessRecord {
  AcceptorRecord acceptor;
  VoterMemory memory;  // its lineage counts the starts of the witness for this resource
  friend bool operator==(const WitnessRecord&, const WitnessRecord&) = default;
};

// What became of a message.
struct WitnessOutcome {
  std::optional<VoterAnswer> answer;
  bool violation = false;  // not what a node says to a witness: end the connection
  bool superseded =
      false;  // this state is older than what the node has met: begin anew as an empty acceptor, end all connections
};

class WitnessVoter {
 public:
  // `record` with this run already begun (begin_run) and durable.
  WitnessVoter(const WitnessRecord& record, Boot boot, int drift_permille, Instant started)
      : memory_(record.memory), acceptor_(record.acceptor, boot, drift_permille, started) {}

  WitnessRecord record() const { return {acceptor_.record(), memory_}; }
  Acceptor& acceptor() { return acceptor_; }
  const Acceptor& acceptor() const { return acceptor_; }

  // `from` is proved by the connection; `introduced` belongs to that connection, false at first.
  WitnessOutcome handle(Instant now, Seat from, bool& introduced, const Message& message);

 private:
  WitnessOutcome meet(Seat from, bool& introduced, const VoterHello& hello);
  VoterMemory memory_;
  Acceptor acceptor_;
};

}  // namespace lockstep
