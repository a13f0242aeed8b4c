#include "flight/digest.h"

#include <cstring>
#include <type_traits>

#include "base/crc32c.h"
#include "flight/beginning_codec.h"

namespace lockstep::flight {

namespace {

constexpr uint64_t mixed(uint64_t state, uint64_t value) {
  state = (state ^ value) * 0x9e3779b97f4a7c15;
  return state ^ (state >> 29);
}

class Mixer {
 public:
  explicit Mixer(uint64_t state) : state_(state) {}
  uint64_t value() const { return state_; }

  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void operator()(T v) { state_ = mixed(state_, static_cast<uint64_t>(v)); }
  void operator()(Seat v) { (*this)(v.value); }
  void operator()(Duration v) { (*this)(v.ns); }
  void operator()(const Range& v) { numbers(v.offset, v.length); }
  void operator()(const Uuid& v) { bytes(std::as_bytes(std::span(v.bytes))); }
  template <class... T>
  void numbers(T... v) {
    ((*this)(v), ...);
  }
  void bytes(std::span<const std::byte> from) {
    (*this)(from.size());
    for (; from.size() >= 8; from = from.subspan(8)) {
      uint64_t word = 0;
      std::memcpy(&word, from.data(), 8);
      (*this)(word);
    }
    for (const std::byte b : from) (*this)(static_cast<uint8_t>(b));
  }

 private:
  uint64_t state_;
};

struct MixEffect {
  Mixer& mix;
  void operator()(const DiskIo& e) const {
    mix.numbers(e.io.value, e.kind, e.fua, e.payload.value, e.look, e.zeroes);
    mix(e.range);
  }
  void operator()(const WriteRecord& e) const { mix(e.token.value); }  // its content is digested with the state
  void operator()(const WriteIntentPage& e) const {
    mix.numbers(e.token.value, e.page, e.sequence);
    mix(crc32c(std::as_bytes(std::span(*e.bits))));
  }
  void operator()(const WriteBitmapPage& e) const {
    mix.numbers(e.token.value, e.peer, e.page);
    mix(crc32c(std::as_bytes(std::span(*e.bits))));
  }
  void operator()(const SealExtent& e) const { mix.numbers(e.token.value, e.extent); }
  void operator()(const Send& e) const {
    mix.numbers(e.to, e.link.value, e.payload.value, e.message.index());
    if (const auto* write = std::get_if<WriteRequest>(&e.message)) {
      mix.numbers(write->op.value, write->position);
      mix(write->range);
    } else if (const auto* fed = std::get_if<FollowerWrite>(&e.message)) {
      mix.numbers(fed->position, fed->previous, fed->after);
      mix(fed->range);
    } else if (const auto* reply = std::get_if<WriteReply>(&e.message)) {
      mix.numbers(reply->op.value, reply->status);
    }
  }
  void operator()(const CloseLink& e) const { mix.numbers(e.peer, e.link.value, e.reason, e.stand_alone); }
  void operator()(const ClientReply& e) const { mix.numbers(e.io.value, e.status, e.payload.value); }
  void operator()(const Release& e) const { mix(e.payload.value); }
  void operator()(const AdminReply& e) const { mix.numbers(e.id.value, e.ok, e.reason); }
  void operator()(const RoleChanged& e) const { mix(e.primary); }
  void operator()(const RunFence& e) const {
    mix(e.peer);
    mix(e.evidence);
  }
  void operator()(const Note& e) const { mix.numbers(e.notice, e.seat, e.a); }
};

void mix_fence(Mixer& mix, const FenceSnapshot& fence) {
  const auto& [running, completed, last] = fence;
  mix.numbers(running, completed, last.value_or(-2));
}

void mix_comparison(Mixer& mix, const VerifySnapshot& verify) {
  const auto& [running, completed, total, done, taken, repairing, differing, differing_of, extents] = verify;
  mix.numbers(running, completed, total, done, taken, repairing, differing);
  for (const uint64_t of : differing_of) mix(of);
  for (const Range& extent : extents) mix.numbers(extent.offset, extent.length);
}

// The bindings stop compiling when a snapshot gets another member.
void mix_snapshot(Mixer& mix, const Snapshot& shown) {
  const auto& [role, disk, caretaker, quorum, suspended, by_operator, reason, tenure, disk_uuid, size, volumes, lease, seasoned,
               healed, ops, hot, needed, answering, dirty, voters, peers, without_seat] = shown;
  static_cast<void>(tenure);  // the record has it
  mix.numbers(role, disk, caretaker, quorum, suspended, by_operator, reason, size, lease, seasoned, healed, ops, hot, needed,
              answering);
  mix(disk_uuid);
  for (const VolumeShape& shape : volumes) mix.numbers(shape.number, shape.size_bytes);
  for (const uint64_t blocks : dirty) mix(blocks);
  for (const auto* list : {&voters, &without_seat}) {
    for (const VoterSnapshot& voter : *list) {
      const auto& [seat, answers, empty, silent] = voter;
      mix.numbers(seat, answers, empty, silent);
    }
  }
  for (const PeerSnapshot& peer : peers) {
    const auto& [node, connected, peer_role, peer_disk, replication, blocks, dirty_of, total, done, running, silent, refused,
                 differing, fence, paused_here, paused_there, held, follows, followed, behind, behind_for, rate, verify] = peer;
    mix.numbers(node, connected, peer_role, peer_disk, replication, blocks, total, done, running, silent, refused);
    for (const Range& range : differing) mix.numbers(range.offset, range.length);
    for (const uint64_t of : dirty_of) mix(of);
    mix_fence(mix, fence);
    mix.numbers(paused_here, paused_there, held, follows, followed, behind, behind_for, rate);
    mix_comparison(mix, verify);
  }
}

}  // namespace

void Trail::add(const Effects& effects) {
  Mixer mix(value_);
  for (const Effect& effect : effects) {
    mix(effect.index());
    std::visit(MixEffect{mix}, effect);
  }
  mix(effects.size());
  value_ = mix.value();
}

StateDigest digest_of(const Trail& trail, const Replica& replica, Instant now, std::vector<std::byte>& scratch) {
  scratch.clear();
  encode_node_record(scratch, replica.record());
  Mixer record(1);
  record.bytes(scratch);
  Mixer snapshot(2);
  mix_snapshot(snapshot, replica.inspect(now));
  return {trail.value(), record.value(), snapshot.value()};
}

}  // namespace lockstep::flight
