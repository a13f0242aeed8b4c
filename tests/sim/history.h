// What the clients did and saw, and whether it is linearizable (P1, P6).
//
// Every block is a register, and every write of it is told apart by its value: writes carry a version of
// their own, and the workload zeroes a block at most once. For such registers linearizability is decided
// exactly by zones (Gibbons and Korach, "Testing Shared Memories", SIAM J. Comput. 26(4), 1997): the zone of
// a value lasts from the earliest response to the latest invocation among its write and its reads; it is
// forward when the first is before the second. A history is linearizable exactly when no two forward zones
// overlap, no backward zone lies within a forward one, and no read precedes its write. What an interrupted write leaves of a block counts as a
// write of its own, which began with the other and has no answer; of a write that was acknowledged nobody may see a part.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/range.h"
#include "core/io.h"
#include "sim/sim_disk.h"
#include "sim/verdict.h"

namespace lockstep::sim {

struct ClientOp {
  OpKind kind = OpKind::read;
  Range range;
  bool fua = false;
  Seat node;
  Instant invoked;
  Instant answered = kNever;  // kNever: outcome unknown, and so it is when it failed
  bool acknowledged = false;
  bool refused = false;  // answered with an error
  Payload seen;          // of a read
};

class History {
 public:
  // The version that a write carries is version_of(its index).
  static uint64_t version_of(uint64_t op) { return op + 2; }

  uint64_t invoke(const ClientOp& op);
  void answer(uint64_t index, IoStatus status, Payload seen, Instant now);
  // Everything that was not flushed may have been lost by all nodes at once: what is seen from now on may be
  // older, down to what was flushed, but is consistent in itself. `served_on`: somebody without a disk of its own served meanwhile, so
  // that what waited was done on the other side of the loss.
  void all_lost_unflushed(Instant now, bool served_on = false);
  // An operator began another history, or gave one up: what was written before may be there or not, flushed or not.
  void forced(Instant now);
  // The content that the operator chose by that: until the next loss, what was written before is as it was there.
  // What lies from `grown` on was not always a part of the volume.
  void chose(std::vector<uint64_t> content, uint64_t grown = UINT64_MAX);

  // What the block held when it became a part of the volume, as the copy that was current then has it. Another history may have begun it otherwise.
  void began_with(uint64_t block, uint64_t value, Instant now) { beginnings_[block].push_back({now, value}); }
  // An operator gave it up: what was done to it before counts no more, also if it becomes a part of the volume again.
  void given_up(uint64_t block, Instant now) { given_up_[block] = now; }

  const ClientOp& op(uint64_t index) const { return ops_[index]; }
  size_t size() const { return ops_.size(); }
  bool zeroed(uint64_t block) const { return zeroed_.count(block) != 0; }

  // The write that put this value there; nullopt for the initial content. A value that no write carries:
  // `known` is false.
  struct Writer {
    bool known = true;
    std::optional<uint64_t> op;
    bool torn = false;  // a part of what it wrote
  };
  Writer writer_of(uint64_t block, uint64_t value) const;
  // Whether `a` took effect before `b` for certain: it was acknowledged before `b` was begun.
  bool certainly_before(const Writer& a, const Writer& b) const;
  // Whether a loss of everything unflushed came between its acknowledgement and the flush that would have kept it.
  bool may_be_lost(uint64_t op) const;
  // Whether an operator began another history after it was asked for, which may lack it, flushed or not.
  bool may_be_given_up(uint64_t op) const { return forced_.upper_bound(ops_[op].invoked) != forced_.end(); }

  // P6 when it is not linearizable, P7 when something that was flushed did not survive.
  Verdict check() const;

 private:
  struct Zone {
    Instant first_response = kNever;
    Instant last_invocation = kLongAgo;
    bool forward() const { return first_response < last_invocation; }
  };
  using Zones = std::map<uint64_t, Zone>;
  struct Access {
    uint64_t op = 0;
    uint64_t value = 0;
    bool read = false;
    bool torn =
        false;  // a write that was interrupted, of which a read saw the part that had come to the disk: one that has no answer
  };
  Verdict check_block(uint64_t block, const std::vector<Access>& accesses) const;
  Verdict check_era(uint64_t block, const std::vector<Access>& accesses, size_t era) const;
  static std::string check_zones(uint64_t block, const Zones& zones);
  Verdict check_read(uint64_t block, const Access& access) const;
  Verdict check_parts(uint64_t block, const std::vector<Access>& accesses) const;
  std::string objection(uint64_t block, uint64_t value, const std::vector<Access>& accesses, Instant loss) const;
  bool may_survive(uint64_t block, uint64_t value, const std::vector<Access>& accesses, Instant loss) const;
  bool flushed_before(const ClientOp& write, Instant loss) const;

  bool counts(uint64_t block, uint64_t op) const {
    const auto end = given_up_.find(block);
    return end == given_up_.end() || ops_[op].invoked >= end->second;
  }
  bool initial(uint64_t block, uint64_t value) const;
  bool began_since(uint64_t block, uint64_t value, Instant begin) const;
  uint64_t first_initial(uint64_t block) const;

  std::vector<ClientOp> ops_;
  struct Beginning {
    Instant when;
    uint64_t value = 0;
  };
  std::map<uint64_t, std::vector<Beginning>> beginnings_;  // where it is not kFirstVersion
  std::map<uint64_t, Instant> given_up_;                   // the last time
  std::map<uint64_t, uint64_t> zeroed_;                    // block -> op
  std::vector<Instant> losses_;
  std::set<Instant> forced_;                         // those of them that were an operator's doing
  std::set<Instant> crossed_;                        // those of them that requests in flight outlived
  std::map<Instant, std::vector<uint64_t>> chosen_;  // by the loss that it followed: version by block
};

}  // namespace lockstep::sim
