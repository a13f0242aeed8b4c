// One message of each kind with every field set to something else than its default.
#pragma once

#include <vector>

#include "core/message.h"

namespace lockstep {

inline Uuid sample_uuid(uint64_t n) { return Uuid::from_words(0x0102030405060708 + n, 0x1112131415161718 * (n + 1)); }
inline Ballot sample_ballot(uint64_t n) { return {n, Seat{static_cast<uint8_t>(n % 16)}, n * 7}; }
inline Holder sample_holder() { return {Seat{3}, sample_uuid(5), 99}; }
inline Stamp sample_stamp() { return {sample_uuid(6), 42}; }
inline VoterIdentity sample_voter() { return {sample_uuid(7), sample_uuid(8)}; }

inline Tenure sample_tenure() {
  Tenure tenure;
  tenure.history = sample_uuid(1);
  tenure.parent = sample_uuid(2);
  tenure.number = 17;
  tenure.origin = sample_ballot(9);
  tenure.primary = sample_holder();
  tenure.clean = true;
  tenure.members = {Seat{0}, Seat{1}, Seat{5}};
  tenure.voter_set = 4;
  for (uint8_t i = 0; i < kMaxVoters; ++i) tenure.voters.push_back({Seat{i}, sample_uuid(20 + i)});
  for (uint16_t i = 0; i < kMaxVolumes; ++i) tenure.volumes.push_back({i, uint64_t{1} << (20 + i)});
  return tenure;
}

inline std::vector<Message> sample_messages() {
  const Range range{8192, 4096};
  const OpId op{77};
  ResyncMap map;
  map.stamp = sample_stamp();
  for (uint64_t i = 0; i < kRunsPerMessage; ++i) map.runs.push_back({i * 100, i + 1});
  map.last = true;
  PeerHello hello;
  hello.node = Seat{1};
  hello.boot = sample_uuid(30);
  hello.start = 6;
  hello.acceptor = sample_uuid(31);
  hello.disk = sample_uuid(32);
  hello.remembered_disk = sample_uuid(33);
  hello.size_bytes = uint64_t{1} << 40;
  hello.disk_usable = true;
  hello.inconsistent = true;
  hello.tenure = sample_tenure();
  hello.dirty_blocks = 12;
  hello.given_up = sample_uuid(34);
  hello.volumes = sample_tenure().volumes;
  return {
      Prepare{sample_ballot(1), sample_holder(), 5, sample_tenure().history, true},
      Promise{sample_ballot(2), sample_voter(), sample_ballot(1), sample_tenure()},
      Accept{sample_ballot(3), sample_holder(), sample_tenure(), true},
      Accepted{sample_ballot(3), sample_voter()},
      VoteRefused{sample_ballot(4), VoteRefusal::later_voter_set, sample_voter(), sample_ballot(8), seconds(3), Seat{1},
                  sample_tenure()},
      LeaseRequest{11, sample_holder(), sample_stamp(), sample_ballot(9), seconds(3)},
      LeaseGranted{11, sample_voter()},
      LeaseRefused{12, VoteRefusal::not_my_tenure, sample_voter(), sample_ballot(4), milliseconds(5)},
      LeaseReleased{sample_holder()},
      BootEnded{Seat{1}, sample_uuid(3)},
      AcceptanceCounted{sample_ballot(5), sample_uuid(4)},
      hello,
      TenureDecided{sample_tenure()},
      TenureAdopted{sample_stamp()},
      DiskCondition{true, true, true},
      WriteRequest{sample_stamp(), op, 1234, OpKind::write, range, true},
      WriteReply{sample_stamp(), op, IoStatus::no_space},
      FlushRequest{sample_stamp(), op},
      FlushReply{sample_stamp(), op, IoStatus::io_error},
      ReadRequest{sample_stamp(), op, range},
      ReadReply{sample_stamp(), op, IoStatus::ok, range},
      Settled{sample_stamp(), 5555},
      ResyncBegin{sample_stamp(), true},
      map,
      ResyncWrite{sample_stamp(), op, OpKind::write, {0, 3 * 4096}, 5, 0x80000000000000f1},
      JoinPrepare{sample_stamp(), op},
      JoinReady{sample_stamp(), op, IoStatus::shut_down},
      DropMe{sample_stamp()},
      VoterHello{sample_uuid(40), sample_uuid(42), Lineage{7, {1, 2, 3, 4, 5, 6, 7, 8}}},
      Superseded{KnownRun{sample_uuid(41), 8, 9}},
      Caretaking{sample_stamp(), true},
      YieldRequest{sample_stamp()},
      Differences{{}, true},
      ResyncDeclined{sample_stamp()},
      DiskRemembered{sample_uuid(34)},
      CompareRequest{sample_stamp(), op, {0, 2 * 4096 + 512}},
      CompareReply{sample_stamp(), op, IoStatus::io_error, 0x8000000000000001},
      ResyncPaused{true},
      NodesConfigured{{Seat{0}, Seat{2}}},
      FollowerWrite{sample_stamp(), 1235, 1230, 1229, OpKind::write, range, true},
      WriteReceived{op},
      FollowerFlush{sample_stamp(), op, 1235},
      Following{sample_stamp(), true, 1240},
  };
}

}  // namespace lockstep
