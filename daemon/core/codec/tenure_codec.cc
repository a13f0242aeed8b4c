#include "core/codec/tenure_codec.h"

#include "core/volumes.h"

#include <algorithm>

namespace lockstep {

void encode_flag(ByteWriter& out, bool flag) { out.put(static_cast<uint8_t>(flag ? 1 : 0)); }

bool decode_flag(ByteReader& in) {
  const auto value = in.get<uint8_t>();
  if (value > 1) in.fail();
  return value == 1;
}

void encode_seat(ByteWriter& out, Seat seat) { out.put(seat.value); }

Seat decode_seat(ByteReader& in) {
  const Seat seat{in.get<uint8_t>()};
  if (seat.value >= kMaxSeats && seat != kNoSeat) in.fail();
  return seat;
}

void encode_duration(ByteWriter& out, Duration duration) { out.put(static_cast<uint64_t>(duration.ns)); }

Duration decode_duration(ByteReader& in) {
  const Duration duration{static_cast<int64_t>(in.get<uint64_t>())};
  if (duration.ns < 0) in.fail();
  return duration;
}

void encode_ballot(ByteWriter& out, const Ballot& ballot) {
  out.put(ballot.counter);
  encode_seat(out, ballot.node);
  out.put(ballot.start);
}

Ballot decode_ballot(ByteReader& in) {
  Ballot ballot;
  ballot.counter = in.get<uint64_t>();
  ballot.node = decode_seat(in);
  ballot.start = in.get<uint64_t>();
  return ballot;
}

void encode_holder(ByteWriter& out, const Holder& holder) {
  encode_seat(out, holder.node);
  out.put(holder.boot);
  out.put(holder.start);
}

Holder decode_holder(ByteReader& in) {
  Holder holder;
  holder.node = decode_seat(in);
  holder.boot = in.get_uuid();
  holder.start = in.get<uint64_t>();
  return holder;
}

void encode_stamp(ByteWriter& out, const Stamp& stamp) {
  out.put(stamp.history);
  out.put(stamp.number);
}

Stamp decode_stamp(ByteReader& in) {
  Stamp stamp;
  stamp.history = in.get_uuid();
  stamp.number = in.get<uint64_t>();
  return stamp;
}

void encode_tenure(ByteWriter& out, const Tenure& tenure) {
  out.put(tenure.history);
  out.put(tenure.parent);
  out.put(tenure.number);
  encode_ballot(out, tenure.origin);
  encode_flag(out, tenure.primary.has_value());
  if (tenure.primary) encode_holder(out, *tenure.primary);
  encode_flag(out, tenure.clean);
  out.put(tenure.members.bits());
  out.put(tenure.voter_set);
  out.put(static_cast<uint8_t>(tenure.voters.size()));
  for (const Voter& voter : tenure.voters) {
    encode_seat(out, voter.seat);
    out.put(voter.acceptor);
  }
  encode_volumes(out, tenure.volumes);
}

void encode_volumes(ByteWriter& out, const VolumeShapes& volumes) {
  out.put(static_cast<uint8_t>(volumes.size()));
  for (const VolumeShape& volume : volumes) {
    out.put(volume.number);
    out.put(volume.size_bytes);
  }
}

namespace {

// A count that fits; 0 after failing.
size_t decode_count(ByteReader& in, size_t capacity) {
  const size_t count = in.get<uint8_t>();
  if (count <= capacity) return count;
  in.fail();
  return 0;
}

void decode_voters(ByteReader& in, Tenure& tenure) {
  const size_t count = decode_count(in, kMaxVoters);
  for (size_t i = 0; i < count; ++i) {
    Voter voter;
    voter.seat = decode_seat(in);
    voter.acceptor = in.get_uuid();
    tenure.voters.push_back(voter);
  }
}

}  // namespace

VolumeShapes decode_volumes(ByteReader& in) {
  VolumeShapes volumes;
  const size_t count = decode_count(in, kMaxVolumes);
  for (size_t i = 0; i < count; ++i) {
    VolumeShape volume;
    volume.number = in.get<uint16_t>();
    volume.size_bytes = in.get<uint64_t>();
    volumes.push_back(volume);
  }
  if (!in_order(volumes)) in.fail();
  return volumes;
}

Tenure decode_tenure(ByteReader& in) {
  Tenure tenure;
  tenure.history = in.get_uuid();
  tenure.parent = in.get_uuid();
  tenure.number = in.get<uint64_t>();
  tenure.origin = decode_ballot(in);
  if (decode_flag(in)) tenure.primary = decode_holder(in);
  tenure.clean = decode_flag(in);
  tenure.members = SeatSet(in.get<uint32_t>());
  tenure.voter_set = in.get<uint32_t>();
  decode_voters(in, tenure);
  tenure.volumes = decode_volumes(in);
  // What the core takes for granted of any tenure, so that no peer's nonsense can reach it.
  bool sane = !tenure.volumes.empty() && !tenure.voters.empty() && (tenure.members.bits() >> kMaxDataNodes) == 0;
  for (const Voter& voter : tenure.voters) sane = sane && voter.seat.value < kMaxSeats;
  if (tenure.primary) sane = sane && tenure.primary->node.value < kMaxDataNodes;
  if (!sane) in.fail();
  return tenure;
}

void encode_optional_tenure(ByteWriter& out, const std::optional<Tenure>& tenure) {
  encode_flag(out, tenure.has_value());
  if (tenure) encode_tenure(out, *tenure);
}

std::optional<Tenure> decode_optional_tenure(ByteReader& in) {
  if (!decode_flag(in)) return std::nullopt;
  return decode_tenure(in);
}

void encode_lineage(ByteWriter& out, const Lineage& lineage) {
  out.put(lineage.start);
  for (uint64_t token : lineage.tokens) out.put(token);
}

Lineage decode_lineage(ByteReader& in) {
  Lineage lineage;
  lineage.start = in.get<uint64_t>();
  for (uint64_t& token : lineage.tokens) token = in.get<uint64_t>();
  return lineage;
}

void encode_known_run(ByteWriter& out, const KnownRun& run) {
  out.put(run.acceptor);
  out.put(run.start);
  out.put(run.token);
}

KnownRun decode_known_run(ByteReader& in) {
  KnownRun run;
  run.acceptor = in.get_uuid();
  run.start = in.get<uint64_t>();
  run.token = in.get<uint64_t>();
  return run;
}

void encode_voter_memory(ByteWriter& out, const VoterMemory& memory) {
  encode_lineage(out, memory.lineage);
  encode_flag(out, memory.superseded);
  uint8_t count = 0;
  for (const auto& runs : memory.known) {
    for (const KnownRun& run : runs) count = static_cast<uint8_t>(count + (run.acceptor.is_nil() ? 0 : 1));
  }
  out.put(count);
  for (uint8_t i = 0; i < kMaxSeats; ++i) {
    for (const KnownRun& run : memory.known[i]) {
      if (run.acceptor.is_nil()) continue;
      encode_seat(out, Seat{i});
      encode_known_run(out, run);
    }
  }
}

VoterMemory decode_voter_memory(ByteReader& in) {
  VoterMemory memory;
  memory.lineage = decode_lineage(in);
  memory.superseded = decode_flag(in);
  const size_t count = decode_count(in, kRunsOfSeat * kMaxSeats);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    const Seat seat = decode_seat(in);
    const KnownRun run = decode_known_run(in);
    if (seat == kNoSeat || run.acceptor.is_nil()) {
      in.fail();
      break;
    }
    auto& runs = memory.known[seat.value];
    const auto free = std::find(runs.begin(), runs.end(), KnownRun{});
    free == runs.end() ? in.fail() : static_cast<void>(*free = run);
  }
  return memory;
}

void encode_acceptor_record(ByteWriter& out, const AcceptorRecord& record) {
  out.put(record.acceptor);
  encode_ballot(out, record.promised);
  encode_ballot(out, record.accepted);
  encode_optional_tenure(out, record.tenure);
  encode_duration(out, record.longest_lease);
}

AcceptorRecord decode_acceptor_record(ByteReader& in) {
  AcceptorRecord record;
  record.acceptor = in.get_uuid();
  record.promised = decode_ballot(in);
  record.accepted = decode_ballot(in);
  record.tenure = decode_optional_tenure(in);
  record.longest_lease = decode_duration(in);
  if (record.tenure.has_value() == record.accepted.none()) in.fail();
  return record;
}

}  // namespace lockstep
