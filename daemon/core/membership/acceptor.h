// A voter: acceptor of the tenure register and grantor of the Primary's lease. The same class serves data nodes and the witness.
//
// Pure. Its owner keeps record() on stable storage: an answer with `durable_first` may be sent only after the record, as it is
// when the call returns, is durable. Grants are not on disk; therefore a voter stays silent after a start for the longest
// lease that it ever granted, and that maximum is durable before the grant (design, section 2, "Lease").
//
// Register: Rystsov, "CASPaxos" (2018), sections 2.1 and 2.2. Lease: Gray and Cheriton (1989).
#pragma once

#include <algorithm>
#include <optional>

#include "base/time.h"
#include "core/durable.h"
#include "core/message.h"

namespace lockstep {

struct VoterAnswer {
  Message message;
  bool durable_first = false;
};

class Acceptor {
 public:
  // `boot` names the run of the machine; `started` is when this run of the program began, by the clock that `now` comes from.
  // drift_permille: how much faster than the holder's this voter's clock may run.
  Acceptor(AcceptorRecord record, Boot boot, int drift_permille, Instant started);

  const Boot& boot() const { return boot_; }
  const AcceptorRecord& record() const { return record_; }
  // The owner says which longest lease has reached stable storage: until its own has, a grant waits (durable_first).
  void longest_lease_durable(Duration length) { durable_longest_ = std::max(durable_longest_, length); }

  VoterAnswer prepare(Instant now, const Prepare& request);
  VoterAnswer accept(Instant now, const Accept& request);
  VoterAnswer lease(Instant now, const LeaseRequest& request);
  // The holder gives its lease back, or its boot was ended by a fence. No answer.
  void released(const LeaseReleased& notice);
  void boot_ended(const BootEnded& notice);

  // The storage of the record failed: from now on every request is refused, for good.
  void storage_failed() { failed_ = true; }
  bool failed() const { return failed_; }

  // Who holds a lease from this voter at `now`.
  std::optional<Holder> lease_holder(Instant now) const;
  Instant silent_until() const { return silent_until_; }

 private:
  struct Obstacle {
    VoteRefusal why;
    Duration wait;
    Seat holder;
  };
  // What forbids to promise to, accept from or grant to this candidate now.
  std::optional<Obstacle> obstacle(Instant now, const Holder& candidate) const;
  bool elsewhere(const Uuid& history) const;
  VoterIdentity identity() const { return {record_.acceptor, boot_}; }
  VoterAnswer refuse(const Ballot& ballot, const Obstacle& obstacle) const;
  Duration with_drift(Duration length) const { return length + length * drift_permille_ / 1000 + milliseconds(1); }

  AcceptorRecord record_;
  Boot boot_;
  int drift_permille_;
  Duration durable_longest_;
  bool failed_ = false;
  Instant silent_until_;
  std::optional<Holder> lease_holder_;
  Instant lease_until_ = kLongAgo;
};

}  // namespace lockstep
