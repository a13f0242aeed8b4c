#include "wire/message_codec.h"

#include <bit>
#include <concepts>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "core/codec/tenure_codec.h"

namespace lockstep {

namespace {

// One list of fields a message, read by the encoder and the decoder alike, so that the two cannot drift
// apart.
template <class M, class T>
concept Like = std::same_as<std::remove_const_t<M>, T>;

template <Like<VoterIdentity> M>
auto fields(M& m) {
  return std::tie(m.acceptor, m.boot);
}
template <Like<BlockRun> M>
auto fields(M& m) {
  return std::tie(m.first, m.count);
}
template <Like<Range> M>
auto fields(M& m) {
  return std::tie(m.offset, m.length);
}

template <Like<Prepare> M>
auto fields(M& m) {
  return std::tie(m.ballot, m.candidate, m.voter_set, m.history, m.moves);
}
template <Like<Promise> M>
auto fields(M& m) {
  return std::tie(m.ballot, m.who, m.accepted, m.tenure);
}
template <Like<Accept> M>
auto fields(M& m) {
  return std::tie(m.ballot, m.candidate, m.tenure, m.moves);
}
template <Like<Accepted> M>
auto fields(M& m) {
  return std::tie(m.ballot, m.who);
}
template <Like<VoteRefused> M>
auto fields(M& m) {
  return std::tie(m.ballot, m.why, m.who, m.promised, m.wait, m.holder, m.tenure);
}
template <Like<LeaseRequest> M>
auto fields(M& m) {
  return std::tie(m.sequence, m.holder, m.tenure, m.origin, m.length);
}
template <Like<LeaseGranted> M>
auto fields(M& m) {
  return std::tie(m.sequence, m.who);
}
template <Like<LeaseRefused> M>
auto fields(M& m) {
  return std::tie(m.sequence, m.why, m.who, m.promised, m.wait);
}
template <Like<LeaseReleased> M>
auto fields(M& m) {
  return std::tie(m.holder);
}
template <Like<BootEnded> M>
auto fields(M& m) {
  return std::tie(m.node, m.boot);
}
template <Like<AcceptanceCounted> M>
auto fields(M& m) {
  return std::tie(m.ballot, m.boot);
}
template <Like<PeerHello> M>
auto fields(M& m) {
  return std::tie(m.node, m.boot, m.start, m.acceptor, m.disk, m.remembered_disk, m.size_bytes, m.disk_usable, m.inconsistent,
                  m.doubtful, m.tenure, m.dirty_blocks, m.protocol, m.given_up, m.volumes);
}
template <Like<TenureDecided> M>
auto fields(M& m) {
  return std::tie(m.tenure);
}
template <Like<TenureAdopted> M>
auto fields(M& m) {
  return std::tie(m.stamp);
}
template <Like<DiskCondition> M>
auto fields(M& m) {
  return std::tie(m.usable, m.inconsistent, m.doubtful);
}
template <Like<WriteRequest> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.position, m.kind, m.range, m.fua);
}
template <Like<WriteReply> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.status);
}
template <Like<FlushRequest> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op);
}
template <Like<FlushReply> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.status);
}
template <Like<ReadRequest> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.range);
}
template <Like<ReadReply> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.status, m.range);
}
template <Like<Settled> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.position);
}
template <Like<ResyncBegin> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.full);
}
template <Like<ResyncMap> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.runs, m.last);
}
template <Like<ResyncWrite> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.kind, m.range, m.zeroes, m.ahead);
}
template <Like<JoinPrepare> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op);
}
template <Like<JoinReady> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.status);
}
template <Like<DropMe> M>
auto fields(M& m) {
  return std::tie(m.stamp);
}

template <Like<VoterHello> M>
auto fields(M& m) {
  return std::tie(m.acceptor, m.boot, m.lineage);
}
template <Like<Superseded> M>
auto fields(M& m) {
  return std::tie(m.known);
}

template <Like<Caretaking> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.on);
}
template <Like<YieldRequest> M>
auto fields(M& m) {
  return std::tie(m.stamp);
}

template <Like<ResyncDeclined> M>
auto fields(M& m) {
  return std::tie(m.stamp);
}

template <Like<DiskRemembered> M>
auto fields(M& m) {
  return std::tie(m.disk);
}

template <Like<CompareRequest> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.range);
}
template <Like<CompareReply> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.status, m.differing);
}
template <Like<ResyncPaused> M>
auto fields(M& m) {
  return std::tie(m.on);
}

template <Like<NodesConfigured> M>
auto fields(M& m) {
  return std::tie(m.data_nodes);
}

template <Like<FollowerWrite> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.position, m.previous, m.after, m.kind, m.range, m.receipt);
}
template <Like<WriteReceived> M>
auto fields(M& m) {
  return std::tie(m.op);
}
template <Like<FollowerFlush> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.op, m.position);
}
template <Like<Following> M>
auto fields(M& m) {
  return std::tie(m.stamp, m.on, m.position);
}

template <Like<Differences> M>
auto fields(M& m) {
  return std::tie(m.runs, m.last);
}

template <class E>
constexpr E kLast = E{};
template <>
constexpr VoteRefusal kLast<VoteRefusal> = VoteRefusal::other_history;
template <>
constexpr OpKind kLast<OpKind> = OpKind::flush;
template <>
constexpr IoStatus kLast<IoStatus> = IoStatus::corrupt;

struct Encoder {
  ByteWriter out;

  void operator()(const Uuid& v) { out.put(v); }
  void operator()(const Seat& v) { encode_seat(out, v); }
  void operator()(const SeatSet& v) { out.put(v.bits()); }
  void operator()(const OpId& v) { out.put(v.value); }
  void operator()(const Duration& v) { encode_duration(out, v); }
  void operator()(const Ballot& v) { encode_ballot(out, v); }
  void operator()(const Holder& v) { encode_holder(out, v); }
  void operator()(const Stamp& v) { encode_stamp(out, v); }
  void operator()(const Tenure& v) { encode_tenure(out, v); }
  void operator()(const Lineage& v) { encode_lineage(out, v); }
  void operator()(const KnownRun& v) { encode_known_run(out, v); }
  void operator()(const std::optional<Tenure>& v) { encode_optional_tenure(out, v); }
  void operator()(const VolumeShapes& v) { encode_volumes(out, v); }
  void operator()(const bool& v) { encode_flag(out, v); }
  template <std::unsigned_integral T>
  void operator()(const T& v) {
    out.put(v);
  }
  template <class T>
  requires std::is_enum_v<T>
  void operator()(const T& v) { out.put(static_cast<std::underlying_type_t<T>>(v)); }
  void operator()(const InplaceVector<BlockRun, kRunsPerMessage>& runs) {
    out.put(static_cast<uint8_t>(runs.size()));
    for (const BlockRun& run : runs) (*this)(run);
  }
  template <class T>
  requires requires(const T& v) { fields(v); }
  void operator()(const T& v) {
    std::apply([this](const auto&... field) { ((*this)(field), ...); }, fields(v));
  }
};

struct Decoder {
  ByteReader in;

  void operator()(Uuid& v) { v = in.get_uuid(); }
  void operator()(Seat& v) { v = decode_seat(in); }
  void operator()(SeatSet& v) { v = SeatSet(in.get<uint32_t>()); }
  void operator()(OpId& v) { v.value = in.get<uint64_t>(); }
  void operator()(Duration& v) { v = decode_duration(in); }
  void operator()(Ballot& v) { v = decode_ballot(in); }
  void operator()(Holder& v) { v = decode_holder(in); }
  void operator()(Stamp& v) { v = decode_stamp(in); }
  void operator()(Tenure& v) { v = decode_tenure(in); }
  void operator()(Lineage& v) { v = decode_lineage(in); }
  void operator()(KnownRun& v) { v = decode_known_run(in); }
  void operator()(std::optional<Tenure>& v) { v = decode_optional_tenure(in); }
  void operator()(VolumeShapes& v) { v = decode_volumes(in); }
  void operator()(bool& v) { v = decode_flag(in); }
  template <std::unsigned_integral T>
  void operator()(T& v) {
    v = in.get<T>();
  }
  template <class T>
  requires std::is_enum_v<T>
  void operator()(T& v) {
    const auto raw = in.get<std::underlying_type_t<T>>();
    if (raw > static_cast<std::underlying_type_t<T>>(kLast<T>)) {
      in.fail();
      return;
    }
    v = static_cast<T>(raw);
  }
  void operator()(InplaceVector<BlockRun, kRunsPerMessage>& runs) {
    const size_t count = in.get<uint8_t>();
    if (count > kRunsPerMessage) in.fail();
    for (size_t i = 0; i < count && in.ok(); ++i) {
      BlockRun run;
      (*this)(run);
      runs.push_back(run);
    }
  }
  template <class T>
  requires requires(T& v) { fields(v); }
  void operator()(T& v) {
    auto members = fields(v);
    std::apply([this](auto&... field) { ((*this)(field), ...); }, members);
  }
};

// --- what no sender means --------------------------------------------------------------------------------

bool sane(const Range& range) { return range.end() >= range.offset; }

template <class T>
bool sane(const T&) {
  return true;
}
bool sane(const Promise& m) { return m.tenure.has_value() != m.accepted.none(); }
bool sane(const WriteRequest& m) { return is_change(m.kind) && sane(m.range); }
bool sane(const FollowerWrite& m) {
  return is_change(m.kind) && sane(m.range) && m.previous < m.position && m.after < m.position;
}
bool sane(const ReadRequest& m) { return sane(m.range); }
bool sane(const ReadReply& m) { return sane(m.range); }
// Whole blocks of the range, and of a write: only there bytes can be left out.
bool sane(BlockMask mask, const Range& range) {
  const uint64_t whole = range.length / kBlockBytes;
  return mask == 0 ||
         (whole <= kLookBlocks && range.length <= kLookBlocks * kBlockBytes && (whole == kLookBlocks || mask >> whole == 0));
}
bool sane(const ResyncWrite& m) {
  return is_change(m.kind) && sane(m.range) && sane(m.zeroes, m.range) && (m.zeroes == 0 || m.kind == OpKind::write);
}
bool sane(const InplaceVector<BlockRun, kRunsPerMessage>& runs) {
  for (const BlockRun& run : runs) {
    if (run.first + run.count < run.first) return false;
  }
  return true;
}
bool sane(const ResyncMap& m) { return sane(m.runs); }
bool sane(const CompareRequest& m) { return !m.range.empty() && sane(m.range) && m.range.length <= kLookBlocks * kBlockBytes; }
bool sane(const Differences& m) { return sane(m.runs); }
bool sane(const NodesConfigured& m) { return !m.data_nodes.empty() && m.data_nodes.bits() >> kMaxDataNodes == 0; }

// Types are numbered from 1 in the order of the variant; a test pins every number.
static_assert(std::variant_size_v<Message> == kLastMessageType);

template <size_t I>
std::optional<Message> decode_alternative(std::span<const std::byte> body) {
  std::variant_alternative_t<I, Message> message;
  Decoder decoder{ByteReader(body)};
  decoder(message);
  if (!decoder.in.at_end() || !sane(message)) return std::nullopt;
  return Message(std::in_place_index<I>, std::move(message));
}

using DecodeFunction = std::optional<Message> (*)(std::span<const std::byte>);

template <size_t... I>
constexpr std::array<DecodeFunction, sizeof...(I)> decode_functions(std::index_sequence<I...>) {
  return {&decode_alternative<I>...};
}

}  // namespace

FrameType type_of(const Message& message) { return static_cast<FrameType>(message.index() + 1); }

void encode_message(std::vector<std::byte>& out, const Message& message) {
  Encoder encoder{ByteWriter(out)};
  std::visit([&encoder](const auto& m) { encoder(m); }, message);
}

std::optional<Message> decode_message(FrameType type, std::span<const std::byte> body) {
  static constexpr auto kFunctions = decode_functions(std::make_index_sequence<std::variant_size_v<Message>>());
  const auto number = static_cast<uint8_t>(type);
  if (!is_message_type(number)) return std::nullopt;
  return kFunctions[number - 1](body);
}

uint64_t payload_bytes_of(const Message& message) {
  if (const auto* write = std::get_if<WriteRequest>(&message)) {
    return write->kind == OpKind::write ? write->range.length : 0;
  }
  if (const auto* write = std::get_if<FollowerWrite>(&message)) return write->kind == OpKind::write ? write->range.length : 0;
  if (const auto* write = std::get_if<ResyncWrite>(&message)) {
    const auto zeroes = static_cast<uint64_t>(std::popcount(write->zeroes));
    return write->kind == OpKind::write ? write->range.length - zeroes * kBlockBytes : 0;
  }
  if (const auto* compare = std::get_if<CompareRequest>(&message))
    return (compare->range.length + kBlockBytes - 1) / kBlockBytes * kDigestBytes;
  if (const auto* reply = std::get_if<ReadReply>(&message)) return reply->status == IoStatus::ok ? reply->range.length : 0;
  return 0;
}

void append_message_frame(std::vector<std::byte>& out, const Message& message, std::span<const std::byte> payload) {
  CHECK(payload.size() == payload_bytes_of(message));
  std::vector<std::byte> body;
  body.reserve(128);
  encode_message(body, message);
  append_frame(out, type_of(message), body, payload);
}

}  // namespace lockstep
