// Bytes of tenures, ballots and acceptor records, shared by the metadata sectors, the witness's state files
// and the peer link. Little-endian; lists and options carry a count or a flag byte, so the length varies up
// to the bounds below. A reader is strict: a flag other than 0 or 1 or a list beyond its capacity fails the
// ByteReader, and so does a value that no writer makes (an AcceptorRecord whose tenure is there without an
// accepted ballot, or the reverse; a negative duration). docs/wire.md has the byte tables. Pure; errors show
// as !reader.ok(), and the value must then not be used.
#pragma once

#include <optional>

#include "base/endian.h"
#include "core/durable.h"
#include "core/tenure.h"

namespace lockstep {

constexpr size_t kBallotBytes = 17;
constexpr size_t kHolderBytes = 25;
constexpr size_t kStampBytes = 24;
constexpr size_t kMaxTenureBytes =
    16 + 16 + 8 + kBallotBytes + 1 + kHolderBytes + 1 + 4 + 4 + 1 + kMaxVoters * 17 + 1 + kMaxVolumes * 10;
constexpr size_t kMaxAcceptorRecordBytes = 16 + 2 * kBallotBytes + 1 + kMaxTenureBytes + 8;
constexpr size_t kLineageBytes = 8 + 8 * kLineageRuns;
constexpr size_t kKnownRunBytes = 32;
constexpr size_t kMaxVoterMemoryBytes = kLineageBytes + 1 + 1 + kRunsOfSeat * kMaxSeats * (1 + kKnownRunBytes);

void encode_flag(ByteWriter& out, bool flag);
bool decode_flag(ByteReader& in);

// A seat is below kMaxSeats or kNoSeat.
void encode_seat(ByteWriter& out, Seat seat);
Seat decode_seat(ByteReader& in);

void encode_duration(ByteWriter& out, Duration duration);
Duration decode_duration(ByteReader& in);

void encode_ballot(ByteWriter& out, const Ballot& ballot);
Ballot decode_ballot(ByteReader& in);

void encode_holder(ByteWriter& out, const Holder& holder);
Holder decode_holder(ByteReader& in);

void encode_stamp(ByteWriter& out, const Stamp& stamp);
Stamp decode_stamp(ByteReader& in);

void encode_tenure(ByteWriter& out, const Tenure& tenure);
Tenure decode_tenure(ByteReader& in);

// A list in the order of the numbers.
constexpr size_t kMaxVolumeShapesBytes = 1 + kMaxVolumes * 10;
void encode_volumes(ByteWriter& out, const VolumeShapes& volumes);
VolumeShapes decode_volumes(ByteReader& in);

void encode_optional_tenure(ByteWriter& out, const std::optional<Tenure>& tenure);
std::optional<Tenure> decode_optional_tenure(ByteReader& in);

void encode_lineage(ByteWriter& out, const Lineage& lineage);
Lineage decode_lineage(ByteReader& in);

void encode_known_run(ByteWriter& out, const KnownRun& run);
KnownRun decode_known_run(ByteReader& in);

// Entries of `known` that name an acceptor, each with its seat.
void encode_voter_memory(ByteWriter& out, const VoterMemory& memory);
VoterMemory decode_voter_memory(ByteReader& in);

void encode_acceptor_record(ByteWriter& out, const AcceptorRecord& record);
AcceptorRecord decode_acceptor_record(ByteReader& in);

}  // namespace lockstep
