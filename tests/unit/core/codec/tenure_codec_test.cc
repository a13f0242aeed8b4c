#include "core/codec/tenure_codec.h"

#include <gtest/gtest.h>

#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::byte>;

Tenure largest() {
  Tenure tenure = tenure_of({kA, kB}, {});
  tenure.parent = uuid(7);
  tenure.primary = holder_of(kA);
  tenure.clean = true;
  tenure.volumes.clear();
  for (uint8_t i = 0; i < kMaxVoters; ++i) tenure.voters.push_back({Seat{i}, uuid(i)});
  for (uint16_t i = 0; i < kMaxVolumes; ++i) tenure.volumes.push_back({i, uint64_t{1} << i});
  return tenure;
}

Bytes bytes_of(const AcceptorRecord& record) {
  Bytes bytes;
  ByteWriter out(bytes);
  encode_acceptor_record(out, record);
  return bytes;
}

AcceptorRecord full_record() { return {acceptor_of(kA), ballot(3, kB), ballot(2, kA), largest(), seconds(3)}; }

TEST(TenureCodec, ARecordComesBackAsItWasWithinTheBound) {
  const Bytes bytes = bytes_of(full_record());
  EXPECT_EQ(bytes.size(), kMaxAcceptorRecordBytes);
  ByteReader in(bytes);
  EXPECT_EQ(decode_acceptor_record(in), full_record());
  EXPECT_TRUE(in.at_end());

  const AcceptorRecord empty{acceptor_of(kA), {}, {}, std::nullopt, {}};
  const Bytes short_bytes = bytes_of(empty);
  ByteReader short_in(short_bytes);
  EXPECT_EQ(decode_acceptor_record(short_in), empty);
  EXPECT_TRUE(short_in.at_end());
}

TEST(TenureCodec, AStampComesBackAsItWas) {
  Bytes bytes;
  ByteWriter out(bytes);
  encode_stamp(out, stamp_of(largest()));
  EXPECT_EQ(bytes.size(), kStampBytes);
  ByteReader in(bytes);
  EXPECT_EQ(decode_stamp(in), stamp_of(largest()));
}

TEST(TenureCodec, EveryTruncationFails) {
  const Bytes bytes = bytes_of(full_record());
  for (size_t length = 0; length < bytes.size(); ++length) {
    ByteReader in(std::span<const std::byte>(bytes).first(length));
    (void)decode_acceptor_record(in);
    EXPECT_FALSE(in.ok()) << length;
  }
}

TEST(TenureCodec, AFlagIsZeroOrOne) {
  for (int value = 0; value < 256; ++value) {
    const Bytes bytes{static_cast<std::byte>(value)};
    ByteReader in(bytes);
    EXPECT_EQ(decode_flag(in), value == 1);
    EXPECT_EQ(in.ok(), value <= 1);
  }
}

TEST(TenureCodec, ASeatIsOneThatExistsOrNone) {
  for (int value = 0; value < 256; ++value) {
    const Bytes bytes{static_cast<std::byte>(value)};
    ByteReader in(bytes);
    (void)decode_seat(in);
    EXPECT_EQ(in.ok(), value < kMaxSeats || value == kNoSeat.value) << value;
  }
}

TEST(TenureCodec, ANegativeDurationFails) {
  Bytes bytes;
  ByteWriter out(bytes);
  encode_duration(out, Duration{-1});
  ByteReader in(bytes);
  (void)decode_duration(in);
  EXPECT_FALSE(in.ok());
}

TEST(TenureCodec, AListBeyondItsCapacityFails) {
  // The count of voters follows all that is fixed before it; that of volumes follows the voters.
  const size_t voters_at = 16 + 16 + 8 + kBallotBytes + 1 + kHolderBytes + 1 + 4 + 4;
  const size_t volumes_at = voters_at + 1 + kMaxVoters * 17;
  for (const size_t at : {voters_at, volumes_at}) {
    Bytes bytes;
    ByteWriter out(bytes);
    encode_tenure(out, largest());
    ASSERT_EQ(bytes[at], std::byte{8});
    bytes[at] = std::byte{9};
    bytes.resize(bytes.size() + 100);
    ByteReader in(bytes);
    (void)decode_tenure(in);
    EXPECT_FALSE(in.ok()) << at;
  }
}

TEST(TenureCodec, ATenureIsThereExactlyWhenABallotWasAccepted) {
  AcceptorRecord record = full_record();
  record.tenure.reset();
  const Bytes without = bytes_of(record);
  ByteReader in(without);
  (void)decode_acceptor_record(in);
  EXPECT_FALSE(in.ok());

  record = full_record();
  record.accepted = {};
  const Bytes unaccepted = bytes_of(record);
  ByteReader again(unaccepted);
  (void)decode_acceptor_record(again);
  EXPECT_FALSE(again.ok());
}

}  // namespace
}  // namespace lockstep
