// The acceptors of all resources, each with its state file. An answer is handed out only after the record
// that it depends on is durable. An acceptor whose storage failed refuses everything until the program is
// started anew, and so does one whose file cannot be opened.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "core/membership/witness_voter.h"
#include "state_dir.h"
#include "state_file.h"

namespace lockstep {

class AcceptorStore {
 public:
  // `dir` outlives it. `boot` names this run; `started` is when it began. A witness grants no lease that it
  // would not remember after a start: the run is the boot.
  AcceptorStore(const StateDir& dir, Boot boot, Instant started) : dir_(dir), boot_(boot), started_(started) {}

  // Makes the resource's acceptor ready. An error when its storage cannot be used.
  Result<void> prepare(const ResourceId& resource);

  struct Handled {
    std::optional<Message> answer;
    bool violation = false;  // a witness has no business with such a message
    bool anew = false;       // the state was shown to be an older one, and emptied: end all the resource's connections
  };
  // A message from `from`, whose identity is proved; `introduced` belongs to its connection.
  Handled handle(const ResourceId& resource, Seat from, Instant now, bool& introduced, const Message& message);
  std::string path_of(const ResourceId& resource) const { return dir_.file_of(resource, ".state"); }
  // Why this acceptor refuses everything; null: it doesn't.
  const Error* failure_of(const ResourceId& resource) const;
  const Acceptor* find(const ResourceId& resource) const;

 private:
  struct Entry {
    StateFile file;
    WitnessVoter voter;
    Error failure;  // when its acceptor failed
  };
  std::optional<Message> settle(const ResourceId& resource, Entry& entry, const VoterAnswer& answer);
  void begin_anew(const ResourceId& resource, Seat from, Entry& entry);
  const StateDir& dir_;
  Boot boot_;
  Instant started_;
  std::map<ResourceId, Entry> voters_;
};

// Permille by which this machine's clock may run faster than a holder's. BOOTTIME is disciplined within 0.5
// permille (the kernel's limit for slewing); both machines may err.
constexpr int kDriftPermille = 10;

}  // namespace lockstep
