// The Primary's side of the lease: what the voters granted, counted from when the request was sent.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "core/membership/round.h"
#include "core/message.h"

namespace lockstep {

class LeaseKeeper {
 public:
  explicit LeaseKeeper(Duration length) : length_(length) { forget(); }

  // Begins a new request; the same sequence goes to every voter.
  uint64_t begin_request(Instant now);
  // A grant counts only from the acceptor that the tenure names at that seat, and only if its request is remembered.
  void granted(const Voters& voters, Seat seat, const LeaseGranted& grant);
  // Until when a majority of these voters has granted. What another acceptor granted that sat there before counts no more: the one that
  // came in its place has given no word.
  // `half`: seats that suffice as one half of an even number, because a fence broke the tie.
  Instant valid_until(const Voters& voters, SeatSet half = {}) const;
  bool valid(const Voters& voters, Instant now, SeatSet half = {}) const { return now < valid_until(voters, half); }
  void forget();

 private:
  Instant by_majority(const Voters& voters) const;

  static constexpr size_t kRemembered = 32;  // requests; an older grant has nearly run out anyway
  struct Request {
    uint64_t sequence = 0;
    Instant sent;
  };
  struct Grant {
    Instant until = kLongAgo;
    Uuid acceptor;
  };
  Instant granted_until(const Voter& voter) const {
    const Grant& grant = grants_[voter.seat.value];
    return grant.acceptor == voter.acceptor ? grant.until : kLongAgo;
  }

  Duration length_;
  uint64_t next_sequence_ = 1;
  std::array<Request, kRemembered> requests_{};
  std::array<Grant, kMaxSeats> grants_;
};

}  // namespace lockstep
