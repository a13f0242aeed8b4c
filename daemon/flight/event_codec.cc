#include "flight/event_codec.h"

#include <concepts>
#include <type_traits>
#include <utility>

#include "wire/message_codec.h"

namespace lockstep::flight {

namespace {

template <class M, class T>
concept Like = std::same_as<std::remove_const_t<M>, T>;

// Seats and kinds are small; the upper bits of their bytes carry a flag.
constexpr uint8_t kFlag = 0x80;
constexpr uint64_t kUnit = 512;  // what offsets and lengths are usually multiples of

// The two directions behind one set of names, so that each event's fields are listed once.
struct Writing {
  static constexpr bool reading = false;
  Packer& out;
  Baselines& base;
  std::vector<std::byte>& scratch;

  void byte(uint8_t v) { out.byte(v); }
  void delta(uint64_t v, uint64_t& last) {
    out.zigzag(static_cast<int64_t>(v - last));
    last = v;
  }
  void uuid(const Uuid& v) { out.uuid(v); }
  void number(int v) { out.zigzag(v); }
  void mask(BlockMask v) { out.varint(v); }
  void count(uint64_t v) { out.varint(v); }
  void seat(Seat v) { out.byte(v.value); }
  void seats(SeatSet v) { out.varint(v.bits()); }
  void flag(bool v) { out.byte(v ? 1 : 0); }
  template <class E>
  void kind(E v, bool flagged, E) {
    out.byte(static_cast<uint8_t>(static_cast<uint8_t>(v) | (flagged ? kFlag : 0)));
  }
  void payload(PayloadId v) {
    flag(v.value != 0);
    if (v.value != 0) delta(v.value, base.payload);
  }
  void stamp(const Stamp& v) {
    const bool same = v == base.stamp;
    flag(!same);
    if (same) return;
    out.uuid(v.history);
    out.varint(v.number);
    base.stamp = v;
  }
  // 0: nothing at 0. 1: the bytes themselves. Otherwise two more than the length in units, and the distance in units from the end of
  // the range before.
  void range(const Range& v) {
    if (v == Range{}) return out.varint(0);
    const auto distance = static_cast<int64_t>(v.offset - base.offset);
    base.offset = v.end();
    if (v.length % kUnit == 0 && distance % static_cast<int64_t>(kUnit) == 0) {
      out.varint(v.length / kUnit + 2);
      return out.zigzag(distance / static_cast<int64_t>(kUnit));
    }
    out.varint(1);
    out.varint(v.length);
    out.varint(v.offset);
  }
};

struct Reading {
  static constexpr bool reading = true;
  Unpacker& in;
  Baselines& base;

  void delta(uint64_t& v, uint64_t& last) { v = last += static_cast<uint64_t>(in.zigzag()); }
  void uuid(Uuid& v) { v = in.uuid(); }
  void number(int& v) {
    const int64_t n = in.zigzag();
    v = static_cast<int>(n);
    if (v != n) in.fail();
  }
  void mask(BlockMask& v) {
    v = in.varint();
    if (v == 0) in.fail();
  }
  void count(uint64_t& v) { v = in.varint(); }
  void seat(Seat& v) {
    v.value = in.byte();
    if (v.value >= kMaxSeats && v != kNoSeat) in.fail();
  }
  void seats(SeatSet& v) {
    const uint64_t bits = in.varint();
    v = SeatSet(static_cast<uint32_t>(bits));
    if (bits >> kMaxSeats != 0) in.fail();
  }
  void flag(bool& v) {
    const uint8_t n = in.byte();
    v = n == 1;
    if (n > 1) in.fail();
  }
  template <class E>
  void kind(E& v, bool& flagged, E last) {
    const uint8_t n = in.byte();
    flagged = (n & kFlag) != 0;
    v = static_cast<E>(n & ~kFlag);
    if (v > last) in.fail();
  }
  void payload(PayloadId& v) {
    bool there = false;
    flag(there);
    if (there) delta(v.value, base.payload);
  }
  void stamp(Stamp& v) {
    bool other = false;
    flag(other);
    if (other) base.stamp = {in.uuid(), in.varint()};
    v = base.stamp;
  }
  void range(Range& v) {
    const uint64_t code = in.varint();
    v = {};
    if (code == 0) return;
    if (code == 1) {
      v.length = in.varint();
      v.offset = in.varint();
    } else {
      v.length = (code - 2) * kUnit;
      v.offset = base.offset + static_cast<uint64_t>(in.zigzag()) * kUnit;
    }
    base.offset = v.end();
  }
};

// --- messages: the frequent ones, compactly ------------------------------------------------------------------------------

template <class M, size_t I = 0>
constexpr size_t message_index() {
  if constexpr (std::same_as<M, std::variant_alternative_t<I, Message>>) {
    return I;
  } else {
    return message_index<M, I + 1>();
  }
}

template <class M, class A, class OpType>
void pass_op(A& a, OpType& op) {
  a.delta(op.value, a.base.ops[message_index<std::remove_const_t<M>>()]);
}

template <class A, class E, class Flag>
void flagged(A& a, E& kind, Flag& flag, std::remove_const_t<E> last) {
  a.kind(kind, flag, last);
}
template <class A, class E>
void unflagged(A& a, E& kind, std::remove_const_t<E> last) {
  bool none = false;
  a.kind(kind, none, last);
  if constexpr (A::reading) {
    if (none) a.in.fail();
  }
}

// A mask is mostly empty, and is then said by the kind's flag.
template <class A, class E, class Mask>
void pass_with_mask(A& a, E& kind, Mask& mask, std::remove_const_t<E> last) {
  bool there = mask != 0;
  a.kind(kind, there, last);
  if (there) a.mask(mask);
}

// The bindings stop compiling when one of these gets another member.
template <class A, Like<WriteRequest> M>
void pass_fields(A& a, M& m) {
  auto& [stamp, op, position, kind, range, fua] = m;
  a.stamp(stamp);
  pass_op<M>(a, op);
  a.delta(position, a.base.position);
  flagged(a, kind, fua, OpKind::flush);
  a.range(range);
}
template <class A, Like<ResyncWrite> M>
void pass_fields(A& a, M& m) {
  auto& [stamp, op, kind, range, zeroes, ahead] = m;
  a.stamp(stamp);
  pass_op<M>(a, op);
  bool masks = zeroes != 0 || ahead != 0;  // most have neither
  a.kind(kind, masks, OpKind::flush);
  if (masks) {
    a.count(zeroes);
    a.count(ahead);
    if constexpr (A::reading) {
      if (zeroes == 0 && ahead == 0) a.in.fail();
    }
  }
  a.range(range);
}
template <class A, class M>
requires(Like<M, WriteReply> || Like<M, FlushReply>) void pass_fields(A& a, M& m) {
  auto& [stamp, op, status] = m;
  a.stamp(stamp);
  pass_op<M>(a, op);
  unflagged(a, status, IoStatus::corrupt);
}
template <class A, Like<FlushRequest> M>
void pass_fields(A& a, M& m) {
  auto& [stamp, op] = m;
  a.stamp(stamp);
  pass_op<M>(a, op);
}
template <class A, Like<Settled> M>
void pass_fields(A& a, M& m) {
  auto& [stamp, position] = m;
  a.stamp(stamp);
  a.delta(position, a.base.position);
}

template <class A, Like<FollowerWrite> M>
void pass_fields(A& a, M& m) {
  auto& [stamp, position, previous, after, kind, range, receipt] = m;
  a.stamp(stamp);
  a.delta(previous, a.base.position);
  a.delta(position, a.base.position);
  uint64_t from = position;
  a.delta(after, from);
  flagged(a, kind, receipt, OpKind::flush);
  a.range(range);
}
template <class A, Like<WriteReceived> M>
void pass_fields(A& a, M& m) {
  auto& [op] = m;
  pass_op<M>(a, op);
}
template <class A, Like<FollowerFlush> M>
void pass_fields(A& a, M& m) {
  auto& [stamp, op, position] = m;
  a.stamp(stamp);
  pass_op<M>(a, op);
  a.delta(position, a.base.position);
}

template <class M>
concept Frequent = Like<M, FollowerWrite> || Like<M, WriteReceived> || Like<M, FollowerFlush> || Like<M, WriteRequest> ||
    Like<M, ResyncWrite> || Like<M, WriteReply> || Like<M, FlushReply> || Like<M, FlushRequest> || Like<M, Settled>;

void pass_message(Writing& a, const Message& message) {
  a.out.byte(static_cast<uint8_t>(type_of(message)));
  std::visit(
      [&](const auto& m) {
        if constexpr (Frequent<std::remove_cvref_t<decltype(m)>>) {
          pass_fields(a, m);
        } else {
          a.scratch.clear();
          encode_message(a.scratch, message);
          a.out.bytes(a.scratch);
        }
      },
      message);
}

template <size_t I>
bool read_frequent(Reading& a, size_t index, Message& message) {
  using M = std::variant_alternative_t<I, Message>;
  if constexpr (Frequent<M>) {
    if (index != I) return false;
    pass_fields(a, message.emplace<I>());
    return true;
  } else {
    return false;
  }
}

template <size_t... I>
bool read_any_frequent(Reading& a, size_t index, Message& message, std::index_sequence<I...>) {
  return (read_frequent<I>(a, index, message) || ...);
}

// What the wire's decoder refuses of a message is refused here too: such a one never came to the core.
void pass_message(Reading& a, Message& message) {
  const uint8_t type = a.in.byte();
  if (!is_message_type(type)) return a.in.fail();
  if (read_any_frequent(a, type - 1U, message, std::make_index_sequence<std::variant_size_v<Message>>())) return;
  auto decoded = decode_message(static_cast<FrameType>(type), a.in.rest());
  if (!decoded) return a.in.fail();
  message = std::move(*decoded);
}

// --- events ------------------------------------------------------------------------------------------------------------------

template <class A, class L>
void pass_link(A& a, L& link, Seat seat) {
  uint64_t none = 0;
  a.delta(link.value, seat.value < kMaxSeats ? a.base.links[seat.value] : none);  // kNoSeat has no links
}

template <class A, Like<ClientRequest> E>
void pass_event(A& a, E& e) {
  auto& [io, kind, range, fua, payload] = e;
  flagged(a, kind, fua, OpKind::flush);
  a.delta(io.value, a.base.client_io);
  a.range(range);
  a.payload(payload);
}
template <class A, Like<DiskDone> E>
void pass_event(A& a, E& e) {
  auto& [io, status, blocks] = e;
  pass_with_mask(a, status, blocks, IoStatus::corrupt);
  a.delta(io.value, a.base.disk_io);
}
template <class A, Like<MetaDone> E>
void pass_event(A& a, E& e) {
  auto& [token, ok] = e;
  a.flag(ok);
  a.delta(token.value, a.base.token);
}
template <class A, class E>
requires(Like<E, LinkUp> || Like<E, LinkDown>) void pass_event(A& a, E& e) {
  auto& [peer, link] = e;
  a.seat(peer);
  pass_link(a, link, peer);
}
template <class A, Like<MessageReceived> E>
void pass_event(A& a, E& e) {
  auto& [from, link, message, payload] = e;
  a.seat(from);
  pass_link(a, link, from);
  a.payload(payload);
  pass_message(a, message);
}
template <class A, Like<AdminRequest> E>
void pass_event(A& a, E& e) {
  auto& [id, op, peer, fresh, range, episode, assume_clean, nodes] = e;
  unflagged(a, op, AdminOp::shrink);
  a.delta(id.value, a.base.admin);
  a.seat(peer);
  a.uuid(fresh);
  a.range(range);
  if (op == AdminOp::allow_resync) a.count(episode);
  if (op == AdminOp::resize) a.flag(assume_clean);
  if (op == AdminOp::change_nodes) a.seats(nodes);
}
template <class A, Like<FenceDone> E>
void pass_event(A& a, E& e) {
  auto& [peer, evidence, exit_status] = e;
  a.seat(peer);
  a.uuid(evidence);
  a.number(exit_status);
}
template <class A, Like<Tick> E>
void pass_event(A&, E&) {}

template <size_t I>
Event read_event(Reading& a) {
  std::variant_alternative_t<I, Event> event{};
  pass_event(a, event);
  return Event(std::in_place_index<I>, std::move(event));
}

using ReadFunction = Event (*)(Reading&);

template <size_t... I>
constexpr std::array<ReadFunction, sizeof...(I)> read_functions(std::index_sequence<I...>) {
  return {&read_event<I>...};
}

}  // namespace

void encode_event(Packer& out, Baselines& base, std::vector<std::byte>& scratch, Instant now, const Event& event) {
  Writing a{out, base, scratch};
  out.zigzag((now - base.now).ns);
  base.now = now;
  std::visit([&a](const auto& e) { pass_event(a, e); }, event);
}

std::optional<TimedEvent> decode_event(Unpacker in, Baselines& base, size_t index) {
  static constexpr auto kFunctions = read_functions(std::make_index_sequence<std::variant_size_v<Event>>());
  if (index >= kFunctions.size()) return std::nullopt;
  Reading a{in, base};
  // Time counts from 0, so the difference of two instants can always be formed.
  if (__builtin_add_overflow(base.now.ns, in.zigzag(), &base.now.ns) || base.now.ns < 0) return std::nullopt;
  TimedEvent out{base.now, kFunctions[index](a)};
  if (!in.at_end()) return std::nullopt;
  return out;
}

}  // namespace lockstep::flight
