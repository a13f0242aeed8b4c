// Names for the things that are counted. Plain structs, so that a position cannot be passed where an operation is meant.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>

#include "base/uuid.h"

namespace lockstep {

// A place in the voter set. Data nodes use their configured node-id (0..15); witnesses use 16 + their place in the
// configuration, which must list them in the same order on every node.
struct Seat {
  uint8_t value = 0xff;
  constexpr bool is_witness() const { return value >= 16; }
  friend auto operator<=>(const Seat&, const Seat&) = default;
};

constexpr uint8_t kMaxDataNodes = 16;
constexpr uint8_t kMaxSeats = 32;
constexpr Seat kNoSeat{0xff};
constexpr Seat witness_seat(uint8_t index) { return {static_cast<uint8_t>(kMaxDataNodes + index)}; }

// A set of seats.
class SeatSet {
 public:
  constexpr SeatSet() = default;
  constexpr explicit SeatSet(uint32_t bits) : bits_(bits) {}
  constexpr SeatSet(std::initializer_list<Seat> seats) {
    for (Seat seat : seats) insert(seat);
  }
  constexpr void insert(Seat seat) { bits_ |= bit(seat); }
  constexpr void erase(Seat seat) { bits_ &= ~bit(seat); }
  constexpr bool contains(Seat seat) const { return (bits_ & bit(seat)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr int size() const { return std::popcount(bits_); }
  constexpr uint32_t bits() const { return bits_; }
  // The lowest member; the set must not be empty.
  constexpr Seat lowest() const { return {static_cast<uint8_t>(std::countr_zero(bits_))}; }
  friend constexpr SeatSet operator|(SeatSet a, SeatSet b) { return SeatSet(a.bits_ | b.bits_); }
  friend constexpr SeatSet operator&(SeatSet a, SeatSet b) { return SeatSet(a.bits_ & b.bits_); }
  friend constexpr SeatSet operator-(SeatSet a, SeatSet b) { return SeatSet(a.bits_ & ~b.bits_); }
  friend constexpr bool operator==(const SeatSet&, const SeatSet&) = default;

  class Iterator {
   public:
    constexpr explicit Iterator(uint32_t rest) : rest_(rest) {}
    constexpr Seat operator*() const { return {static_cast<uint8_t>(std::countr_zero(rest_))}; }
    constexpr Iterator& operator++() {
      rest_ &= rest_ - 1;
      return *this;
    }
    friend constexpr bool operator==(const Iterator&, const Iterator&) = default;

   private:
    uint32_t rest_;
  };
  constexpr Iterator begin() const { return Iterator(bits_); }
  constexpr Iterator end() const { return Iterator(0); }

 private:
  static constexpr uint32_t bit(Seat seat) { return seat.value < kMaxSeats ? uint32_t{1} << seat.value : 0; }
  uint32_t bits_ = 0;
};

using Boot = Uuid;        // one run of a machine: kernel boot id mixed with a token in a tmpfs run-dir
using ResourceId = Uuid;  // derived from the configuration; the same on every node and at the witness

// clang-format off
struct LinkId { uint64_t value = 0; friend auto operator<=>(const LinkId&, const LinkId&) = default; };      // one connection; never reused in a run
struct OpId { uint64_t value = 0; friend auto operator<=>(const OpId&, const OpId&) = default; };            // an operation of this replica
struct ClientIo { uint64_t value = 0; friend auto operator<=>(const ClientIo&, const ClientIo&) = default; };// a client's request, named by the shell
struct DiskIoId { uint64_t value = 0; friend auto operator<=>(const DiskIoId&, const DiskIoId&) = default; };// one submission to the local disk
struct MetaToken { uint64_t value = 0; friend auto operator<=>(const MetaToken&, const MetaToken&) = default; };  // one metadata write
struct AdminId { uint64_t value = 0; friend auto operator<=>(const AdminId&, const AdminId&) = default; };   // an operator's command
// Bytes held by the shell on the core's behalf until Release. The shell numbers what arrives (clients, peers) with the top
// bit clear; the core numbers what its disk reads produce with the top bit set. Zero: no payload.
struct PayloadId { uint64_t value = 0; friend auto operator<=>(const PayloadId&, const PayloadId&) = default; };
// clang-format on
constexpr uint64_t kCorePayloadBit = uint64_t{1} << 63;

}  // namespace lockstep
