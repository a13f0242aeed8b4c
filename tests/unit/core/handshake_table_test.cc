// The handshake table, every row of it: two nodes described in a few words each, what the design says of such a pair, and what
// judge() makes of the hellos that they would send.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <vector>

#include "core/meeting.h"
#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

// What a node has adopted. One decided value a history and number, as the register guarantees: the third of the first history has
// a larger volume.
enum class Past : uint8_t {
  none,
  gave_up,
  first,
  second,
  grown,
  another_first,
  another_third
};  // gave_up: in none, the first was left
constexpr Past kPasts[] = {Past::none,  Past::gave_up,       Past::first,        Past::second,
                           Past::grown, Past::another_first, Past::another_third};
enum class Room : uint8_t { none, small, exact, larger };  // none: diskless
constexpr Room kRooms[] = {Room::none, Room::small, Room::exact, Room::larger};

struct Party {
  bool first_seat = false;
  bool protocol_c = false;
  Past past = Past::none;
  Room room = Room::none;
};

// --- the design's words, about parties

bool in_none(Past past) { return past == Past::none || past == Past::gave_up; }
int history(Past past) { return in_none(past) ? 0 : past >= Past::another_first ? 2 : 1; }
int age(Past past) {
  switch (past) {
    case Past::none:
    case Past::gave_up:
      return 0;
    case Past::first:
    case Past::another_first:
      return 1;
    case Past::second:
      return 2;
    case Past::grown:
    case Past::another_third:
      return 3;
  }
  return -1;
}
Room needs(Past past) { return past == Past::grown ? Room::larger : Room::exact; }
bool same_party(const Party& a, const Party& b) { return a.first_seat == b.first_seat; }
bool left(const Party& a, const Party& b) { return a.past == Past::gave_up && history(b.past) == 1; }
bool split(const Party& a, const Party& b) {
  const bool two = !in_none(a.past) && !in_none(b.past) && history(a.past) != history(b.past);
  return two || left(a, b) || left(b, a);
}
bool has_disk(const Party& p) { return p.room != Room::none; }

// "Both say who they are; nobody meets himself. Peers of one resource use one protocol. Two histories that meet are a split brain. What an
// operator has given up is not taken again from whoever still has it.
// Copies of a used resource hold its volumes as the latest decided tenure has them; of one that was never used they are equal."
Reason objection(const Party& a, const Party& b) {
  const bool fresh = in_none(a.past) && in_none(b.past);
  const Past latest = age(a.past) > age(b.past) ? a.past : b.past;
  const bool both_disks = has_disk(a) && has_disk(b);
  const bool unequal = both_disks && a.room != b.room;
  const bool too_small = both_disks && (a.room < needs(latest) || b.room < needs(latest));
  const std::vector<std::pair<bool, Reason>> said = {{same_party(a, b), Reason::same_node_id},
                                                     {a.protocol_c != b.protocol_c, Reason::different_protocol},
                                                     {split(a, b), Reason::different_history},
                                                     {fresh && unequal, Reason::different_size},
                                                     {!fresh && too_small, Reason::size_too_small}};
  for (const auto& [holds, reason] : said) {
    if (holds) return reason;
  }
  return Reason::none;
}

// "Only a decided tenure is acted on; a newer one is adopted first." Every tenure in a hello is decided.
Verdict verdict(const Party& mine, const Party& theirs) {
  if (objection(mine, theirs) != Reason::none) return Verdict::refuse;
  if (age(mine.past) == age(theirs.past)) return Verdict::connect;
  return age(mine.past) < age(theirs.past) ? Verdict::adopt_theirs : Verdict::they_adopt_mine;
}

// --- the same as hellos

constexpr uint64_t kUnit = 64 * kBlockBytes;

std::optional<Tenure> tenure_with(Past past) {
  if (in_none(past)) return std::nullopt;
  Tenure tenure = tenure_of({kA, kB}, {kA, kB, kW}, static_cast<uint64_t>(age(past)));
  tenure.history = uuid(100 + static_cast<uint64_t>(history(past)));
  tenure.volumes[0].size_bytes = static_cast<uint64_t>(needs(past)) * kUnit;
  return tenure;
}

PeerHello hello_of(const Party& party) {
  PeerHello hello;
  hello.node = party.first_seat ? kA : kB;
  hello.protocol = party.protocol_c ? 'C' : 'A';
  hello.tenure = tenure_with(party.past);
  if (party.past == Past::gave_up) hello.given_up = tenure_with(Past::first)->history;
  hello.disk = has_disk(party) ? disk_of(hello.node) : Uuid{};
  hello.size_bytes = static_cast<uint64_t>(party.room) * kUnit;
  return hello;
}

struct Row {
  Party party;
  PeerHello hello;
};

const std::vector<Row>& parties() {
  static const std::vector<Row> all = [] {
    std::vector<Row> rows;
    for (const bool first_seat : {true, false}) {
      for (const bool protocol_c : {true, false}) {
        for (const Past past : kPasts) {
          for (const Room room : kRooms) {
            const Party party{first_seat, protocol_c, past, room};
            rows.push_back({party, hello_of(party)});
          }
        }
      }
    }
    return rows;
  }();
  return all;
}

template <class Check>
size_t every_pair(Check check) {
  size_t rows = 0;
  for (const Row& mine : parties()) {
    for (const Row& theirs : parties()) {
      check(mine, theirs);
      ++rows;
    }
  }
  return rows;
}

TEST(HandshakeTable, EveryRowIsAsTheDesignSays) {
  std::map<Reason, size_t> reasons;
  std::map<Verdict, size_t> verdicts;
  const size_t rows = every_pair([&](const Row& mine, const Row& theirs) {
    const Judgement judged = judge(mine.hello, theirs.hello);
    ASSERT_EQ(judged.verdict, verdict(mine.party, theirs.party));
    ASSERT_EQ(judged.reason, objection(mine.party, theirs.party));
    ++reasons[judged.reason];
    ++verdicts[judged.verdict];
  });
  EXPECT_EQ(verdicts.size(), 4U);
  EXPECT_EQ(reasons.size(), 6U);  // none, and five refusals
  std::printf("handshake table: %zu rows\n", rows);
}

TEST(HandshakeTable, BothSidesComeToTheSameVerdict) {
  every_pair([](const Row& mine, const Row& theirs) {
    const Judgement here = judge(mine.hello, theirs.hello);
    const Judgement there = judge(theirs.hello, mine.hello);
    ASSERT_EQ(here.reason, there.reason);
    ASSERT_EQ(here.verdict == Verdict::refuse, there.verdict == Verdict::refuse);
    ASSERT_EQ(here.verdict == Verdict::connect, there.verdict == Verdict::connect);
    ASSERT_EQ(here.verdict == Verdict::adopt_theirs, there.verdict == Verdict::they_adopt_mine);
    ASSERT_EQ(here.verdict == Verdict::refuse, here.reason != Reason::none);
  });
}

// Nobody adopts a tenure of another history, or one that is not later than its own.
TEST(HandshakeTable, OnlyALaterTenureOfTheSameHistoryIsAdopted) {
  every_pair([](const Row& mine, const Row& theirs) {
    if (judge(mine.hello, theirs.hello).verdict != Verdict::adopt_theirs) return;
    ASSERT_TRUE(theirs.hello.tenure);
    if (!mine.hello.tenure) return;
    ASSERT_EQ(mine.hello.tenure->history, theirs.hello.tenure->history);
    ASSERT_LT(mine.hello.tenure->number, theirs.hello.tenure->number);
  });
}

// What a hello says besides is for later: the state of a disk, its bits, boots and starts change no verdict.
TEST(HandshakeTable, NothingElseChangesTheVerdict) {
  every_pair([](const Row& mine, const Row& theirs) {
    PeerHello other = theirs.hello;
    other.boot = boot_of(kC);
    other.start = 77;
    other.acceptor = acceptor_of(kC);
    other.remembered_disk = disk_of(kC);
    other.disk_usable = true;
    other.inconsistent = true;
    other.dirty_blocks = 99;
    const Judgement plain = judge(mine.hello, theirs.hello);
    const Judgement changed = judge(mine.hello, other);
    ASSERT_EQ(plain.verdict, changed.verdict);
    ASSERT_EQ(plain.reason, changed.reason);
  });
}

}  // namespace
}  // namespace lockstep
