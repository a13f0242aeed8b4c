#include "model/register_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/membership/acceptor.h"

namespace lockstep::model {
namespace {

constexpr Instant kNow{1};  // leases are not modelled: time stands still

Seat seat_of(size_t voter) { return voter == 2 ? witness_seat(0) : Seat{static_cast<uint8_t>(voter)}; }
size_t index_of(Seat seat) { return seat.is_witness() ? 2 : seat.value; }
std::string name_of(size_t voter) { return std::string(1, "abw"[voter]); }

template <class T>
void insert_sorted(std::vector<T>& sorted, T value) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
  if (at == sorted.end() || *at != value) sorted.insert(at, value);
}

const Holder& holder_of(const Message& request) {
  const auto* prepare = std::get_if<Prepare>(&request);
  return prepare != nullptr ? prepare->candidate : std::get<Accept>(request).candidate;
}

// Everything that tells two states apart, as bytes.
class Bytes {
 public:
  void put(uint64_t value) {
    a_ = (a_ ^ value) * 0x9e3779b97f4a7c15U;
    a_ ^= a_ >> 31;
    b_ = (b_ + value + 0x632be59bd9b4e019U) * 0xff51afd7ed558ccdU;
    b_ ^= b_ >> 29;
  }
  void put(const Ballot& ballot) { put(ballot.counter << 32 | uint64_t{ballot.node.value} << 16 | ballot.start); }
  uint64_t a() const { return a_; }
  uint64_t b() const { return b_; }

 private:
  uint64_t a_ = 0x243f6a8885a308d3U, b_ = 0x13198a2e03707344U;
};

}  // namespace

RegisterModel::RegisterModel(const Bounds& bounds) : bounds_(bounds) {
  Tenure first;
  first.history = Uuid::from_words(1, 1);
  first.number = 1;
  first.origin = {1, Seat{0}, 1};
  first.clean = true;
  first.members = SeatSet{Seat{0}, Seat{1}};
  first.voter_set = 1;
  for (size_t i = 0; i < voters(); ++i) first.voters.push_back({seat_of(i), acceptor_of(i, 0)});
  intern(first);
}

Uuid RegisterModel::acceptor_of(size_t voter, uint8_t life) const { return Uuid::from_words(100 + voter, 1 + life); }
Boot RegisterModel::boot_of(size_t voter, uint8_t boot) const { return Uuid::from_words(200 + voter, 1 + boot); }

Holder RegisterModel::holder(const State& state, size_t who) const {
  return {seat_of(who), boot_of(who, state.voters[who].boot), state.candidates[who].start};
}

ValueId RegisterModel::find(const Tenure& tenure) const {
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i] == tenure) return static_cast<ValueId>(i);
  }
  return -1;
}

ValueId RegisterModel::intern(const Tenure& tenure) {
  if (const ValueId known = find(tenure); known >= 0) return known;
  values_.push_back(tenure);
  return static_cast<ValueId>(values_.size() - 1);
}

const Tenure* RegisterModel::value_in(const Mail& mail) {
  if (const auto* accept = std::get_if<Accept>(&mail.message)) return &accept->tenure;
  const auto* promise = std::get_if<Promise>(&mail.message);
  return promise != nullptr && promise->tenure ? &*promise->tenure : nullptr;
}

uint64_t RegisterModel::likeness(const Mail& mail) {
  const Ballot& ballot = std::visit(
      [](const auto& message) -> const Ballot& {
        if constexpr (requires { message.ballot; }) return message.ballot;
        static const Ballot kNone;
        return kNone;
      },
      mail.message);
  Bytes bytes;
  bytes.put(mail.message.index() << 16 | uint64_t{mail.from.value} << 8 | mail.to.value);
  bytes.put(ballot);
  return bytes.a();
}

MessageId RegisterModel::intern(const Mail& mail) {
  std::vector<MessageId>& alike = mail_like_[likeness(mail)];
  for (MessageId id : alike) {
    if (mails_[id] == mail) return id;
  }
  alike.push_back(static_cast<MessageId>(mails_.size()));
  mails_.push_back(mail);
  const Tenure* value = value_in(mail);
  carried_.push_back(value != nullptr ? intern(*value) : ValueId{-1});
  return static_cast<MessageId>(mails_.size() - 1);
}

void RegisterModel::send(State& state, Seat from, Seat to, const Message& message) {
  insert_sorted(state.sent, intern(Mail{from, to, message}));
}

bool RegisterModel::run() {
  State state;
  const Tenure& first = values_[0];
  for (size_t i = 0; i < voters(); ++i) {
    state.voters[i].promised = state.voters[i].accepted = first.origin;
    state.voters[i].value = 0;
  }
  for (CandidateState& candidate : state.candidates) candidate.rounds_left = static_cast<uint8_t>(bounds_.rounds);
  state.decided = {0};
  return visit(state);
}

bool RegisterModel::first_time(const State& state) {
  Bytes bytes;
  for (const VoterState& v : state.voters) {
    bytes.put(uint64_t{v.life} << 16 | uint64_t{v.boot} << 8 | (v.up ? 1 : 0));
    bytes.put(v.promised);
    bytes.put(v.accepted);
    bytes.put(static_cast<uint64_t>(v.value));
  }
  for (const CandidateState& c : state.candidates) {
    bytes.put(uint64_t{c.start} << 40 | uint64_t{c.rounds_left} << 32 | uint64_t{c.counter} << 24 | uint64_t{c.known_boot} << 16 |
              (c.in_round ? 4U : 0U) | (c.half ? 2U : 0U) | (c.seasoned ? 1U : 0U));
    bytes.put(static_cast<uint64_t>(c.adopted));
    bytes.put(static_cast<uint64_t>(c.undecided));
    bytes.put(static_cast<uint64_t>(c.ended));
    bytes.put(c.ballot);
    bytes.put(static_cast<uint64_t>(c.proposed));
    for (MessageId id : c.delivered) bytes.put(id);
    bytes.put(0xfffffU);
  }
  for (MessageId id : state.sent) bytes.put(id);
  bytes.put(0xffffeU);
  for (ValueId id : state.decided) bytes.put(static_cast<uint64_t>(id));
  for (const auto& [value, parent] : state.lineage) bytes.put(static_cast<uint64_t>(value) << 32 | static_cast<uint64_t>(parent));
  bytes.put(uint64_t{state.crashes} << 16 | uint64_t{state.wipes} << 8 | state.fences);
  for (int8_t report : state.reports) bytes.put(static_cast<uint64_t>(report));
  return seen_.insert({bytes.a(), bytes.b()}).second;
}

bool RegisterModel::visit(const State& state) {
  ++states_;
  decisions_ += state.decided.size() > 1 ? 1 : 0;
  return rounds_begin(state) && mail_arrives(state) && decisions_become_known(state) && things_go_wrong(state) &&
         fence_reports(state);
}

// Whether the arrival of a message could still change anything. Voters only ever promise more, until their storage is emptied.
bool RegisterModel::can_matter(const State& state, const Mail& mail) const {
  const size_t to = index_of(mail.to);
  const VoterState& voter = state.voters[to];
  const bool may_be_emptied = to == 2 && state.wipes < bounds_.wipes;
  if (std::holds_alternative<Prepare>(mail.message)) return prepare_can_matter(state, mail);
  if (const auto* accept = std::get_if<Accept>(&mail.message))
    return may_be_emptied || (accept->ballot >= voter.promised && accept->ballot != voter.accepted);
  if (const auto* counted = std::get_if<AcceptanceCounted>(&mail.message))
    return counted->boot == boot_of(to, voter.boot) && counted->ballot >= voter.accepted && !state.candidates[to].seasoned;
  const CandidateState& c = state.candidates[to];
  if (const auto* promise = std::get_if<Promise>(&mail.message)) return promise->ballot == c.ballot && c.proposed < 0;
  return std::get<Accepted>(mail.message).ballot == c.ballot;
}

// Without an answer that is waited for it only makes the voter refuse what could get lost as well. Unless the voter is a candidate's own: that
// is asked without fail, and counts on from what it has promised.
bool RegisterModel::prepare_can_matter(const State& state, const Mail& mail) const {
  const Ballot& ballot = std::get<Prepare>(mail.message).ballot;
  const size_t to = index_of(mail.to);
  const CandidateState& sender = state.candidates[index_of(mail.from)];
  const bool waited_for = sender.in_round && sender.ballot == ballot && sender.proposed < 0;
  const bool candidates_own = to != 2 && (state.candidates[to].rounds_left > 0 || state.candidates[to].in_round);
  if (bounds_.witness && !waited_for && !candidates_own) return false;
  return (to == 2 && state.wipes < bounds_.wipes) || ballot > state.voters[to].promised;
}

void RegisterModel::forget_the_exhausted(State& state) const {
  if (!bounds_.witness) return;
  for (CandidateState& c : state.candidates) {
    if (c.rounds_left > 0 || c.in_round) continue;
    c = CandidateState{};
  }
}

// What was proposed, and nobody has accepted or may yet.
void RegisterModel::forget_lost_values(State& state) const {
  std::vector<bool> there(values_.size());
  const auto keep = [&there](ValueId value) {
    if (value >= 0) there[static_cast<size_t>(value)] = true;
  };
  for (const VoterState& voter : state.voters) keep(voter.value);
  for (const CandidateState& c : state.candidates) {
    for (ValueId value : {c.adopted, c.undecided, c.proposed}) keep(value);
    for (MessageId id : c.delivered) keep(carried_[id]);
  }
  for (MessageId id : state.sent) keep(carried_[id]);
  for (ValueId value : state.decided) keep(value);
  std::erase_if(state.lineage, [&](const auto& l) { return !there[static_cast<size_t>(l.first)]; });
}

void RegisterModel::forget_the_ineffective(State& state) const {
  std::erase_if(state.sent, [&](MessageId id) { return !can_matter(state, mails_[id]); });
}

bool RegisterModel::follow(State next, const std::string& what) {
  ++transitions_;
  forget_the_exhausted(next);
  forget_the_ineffective(next);
  forget_lost_values(next);
  if (objection_.empty() && first_time(next)) visit(next);
  if (objection_.empty()) return true;
  path_.insert(path_.begin(), what);
  return false;
}

// --- candidates ---------------------------------------------------------------------------------------------------------------

bool RegisterModel::may_be_half(const CandidateState& candidate) const {
  if (bounds_.witness) return false;
  const bool ended = candidate.ended >= 0 && (candidate.ended == candidate.known_boot || bounds_.old_evidence);
  return ended && (candidate.seasoned || bounds_.half_unseasoned);
}

// A round that is under way is given up for it.
bool RegisterModel::rounds_begin(const State& state) {
  for (size_t who = 0; who < 2; ++who) {
    const CandidateState& before = state.candidates[who];
    if (before.rounds_left == 0 || !state.voters[who].up) continue;
    State next = state;
    CandidateState& c = next.candidates[who];
    --c.rounds_left;
    c.counter = static_cast<uint8_t>(std::max<uint64_t>(c.counter, state.voters[who].promised.counter) + 1);
    c.in_round = true;
    c.ballot = {c.counter, seat_of(who), c.start};
    c.half = may_be_half(c);
    c.proposed = -1;
    c.delivered.clear();
    uint32_t voter_set = values_[static_cast<size_t>(c.adopted)].voter_set;
    if (c.undecided >= 0) voter_set = std::max(voter_set, values_[static_cast<size_t>(c.undecided)].voter_set);
    ask_all(next, who, Prepare{c.ballot, holder(state, who), voter_set, {}, false});
    if (!follow(std::move(next), fmt::format("{} begins round {}", name_of(who), c.counter))) return false;
  }
  return true;
}

const VoterIdentity& RegisterModel::voice_of(const Mail& mail) {
  const auto* promise = std::get_if<Promise>(&mail.message);
  return promise != nullptr ? promise->who : std::get<Accepted>(mail.message).who;
}

// The proposer's Round, from what it was told.
Round RegisterModel::rebuild(const CandidateState& c, size_t who) const {
  const Tenure& adopted = values_[static_cast<size_t>(c.adopted)];
  Round round(c.ballot, adopted.voters, adopted.voter_set, false);
  if (c.half) round.allow_half(SeatSet{seat_of(who)});
  if (c.undecided >= 0 && c.undecided != c.proposed) round.add_electorate(values_[static_cast<size_t>(c.undecided)].voters);
  std::vector<const Mail*> answers;
  for (MessageId id : c.delivered) answers.push_back(&mails_[id]);
  // What an acceptor said before its storage was emptied came before what its successor says.
  std::stable_sort(answers.begin(), answers.end(), [](const Mail* x, const Mail* y) {
    return x->from != y->from ? x->from < y->from : voice_of(*x).acceptor.bytes < voice_of(*y).acceptor.bytes;
  });
  for (const Mail* mail : answers) {
    if (const auto* promise = std::get_if<Promise>(&mail->message)) round.promised(mail->from, *promise);
  }
  if (c.proposed < 0) return round;
  round.propose(values_[static_cast<size_t>(c.proposed)]);
  for (const Mail* mail : answers) {
    if (const auto* accepted = std::get_if<Accepted>(&mail->message)) round.accepted(mail->from, *accepted);
  }
  return round;
}

// As Membership::value_for; where the programs look at peers and disks, everything that they could see.
std::vector<Tenure> RegisterModel::proposals(const State& state, size_t who, const std::optional<Tenure>& found) const {
  const CandidateState& c = state.candidates[who];
  const Tenure& adopted = values_[static_cast<size_t>(c.adopted)];
  const Tenure& base = bounds_.forget_found || !found ? adopted : *found;
  if (!found) return {};
  if (base.number > adopted.number) return {base};
  if (base != adopted) return {};
  std::vector<Tenure> all{adopted};
  Tenure next = adopted;
  next.number = adopted.number + 1;
  next.origin = c.ballot;
  const Seat self = seat_of(who);
  const Seat other = seat_of(1 - who);
  if (adopted.primary != holder(state, who)) {
    if (!adopted.members.contains(self)) return all;
    next.primary = holder(state, who);
    if (!adopted.clean) next.members = SeatSet{self};
    next.clean = false;
    all.push_back(next);
    return all;
  }
  Tenure changed = next;
  if (adopted.members.contains(other)) {
    changed.members.erase(other);
  } else {
    changed.members.insert(other);
  }
  all.push_back(changed);
  for (size_t i = 0; i < voters(); ++i) {
    if (adopted.voters[i].acceptor == acceptor_of(i, state.voters[i].life)) continue;
    Tenure seated = next;
    seated.voters[i].acceptor = acceptor_of(i, state.voters[i].life);
    ++seated.voter_set;
    all.push_back(seated);
  }
  return all;
}

bool RegisterModel::at_candidate(const State& state, MessageId id, const Mail& mail) {
  const size_t who = index_of(mail.to);
  const CandidateState& before = state.candidates[who];
  const auto* promise = std::get_if<Promise>(&mail.message);
  const auto* accepted = std::get_if<Accepted>(&mail.message);
  if (!state.voters[who].up || !before.in_round) return true;
  if ((promise != nullptr ? promise->ballot : accepted->ballot) != before.ballot) return true;
  if ((promise != nullptr) != (before.proposed < 0)) return true;
  if (std::binary_search(before.delivered.begin(), before.delivered.end(), id)) return true;
  State next = state;
  CandidateState& c = next.candidates[who];
  insert_sorted(c.delivered, id);
  const VoterIdentity& voice = voice_of(mail);
  if (index_of(mail.from) == 1 - who) hear_boot(next, who, voice.boot);
  const std::string what = fmt::format("{} hears {} {}", name_of(who), promise != nullptr ? "a promise of" : "an acceptance of",
                                       name_of(index_of(mail.from)));
  if (!completes(c, who)) return follow(std::move(next), what);
  return phase_is_over(std::move(next), who, what);
}

bool RegisterModel::completes(const CandidateState& c, size_t who) const {
  const Round round = rebuild(c, who);
  return c.proposed < 0 ? round.ready() : round.phase() == Round::Phase::decided;
}

// Enough promises were heard, or enough acceptances.
bool RegisterModel::phase_is_over(State next, size_t who, const std::string& what) {
  const CandidateState& c = next.candidates[who];
  if (c.proposed >= 0) {
    const ValueId value = c.proposed;
    decide(next, who);
    return follow(std::move(next), fmt::format("{} and has decided value {}", what, value));
  }
  const Round round = rebuild(c, who);
  for (const Tenure& value : proposals(next, who, round.found())) {
    State proposing = next;
    CandidateState& p = proposing.candidates[who];
    const ValueId chosen = intern(value);
    const bool known = std::any_of(next.lineage.begin(), next.lineage.end(), [&](const auto& l) { return l.first == chosen; });
    if (chosen != 0 && !known) insert_sorted(proposing.lineage, {chosen, p.adopted});
    p.proposed = chosen;
    if (chosen != p.adopted) p.undecided = chosen;
    ask_all(proposing, who, Accept{p.ballot, holder(next, who), value, false});
    if (!follow(std::move(proposing), fmt::format("{} and proposes value {}", what, chosen))) return false;
  }
  return true;
}

// Every set of answers that ends a phase as its last one arrives.
bool RegisterModel::answers_complete_a_phase(const State& state) {
  for (size_t who = 0; who < 2; ++who) {
    const CandidateState& before = state.candidates[who];
    if (!before.in_round) continue;
    std::vector<MessageId> answers;
    for (MessageId id : state.sent) {
      const auto* promise = std::get_if<Promise>(&mails_[id].message);
      const auto* accepted = std::get_if<Accepted>(&mails_[id].message);
      const bool of_phase = before.proposed < 0 ? promise != nullptr && promise->ballot == before.ballot
                                                : accepted != nullptr && accepted->ballot == before.ballot;
      if (of_phase && index_of(mails_[id].to) == who) answers.push_back(id);
    }
    for (uint32_t set = 1; set < 1U << answers.size(); ++set) {
      const auto with = [&](uint32_t chosen) {
        CandidateState c = before;
        for (size_t i = 0; i < answers.size(); ++i)
          if ((chosen >> i & 1) != 0) insert_sorted(c.delivered, answers[i]);
        return c;
      };
      if (!completes(with(set), who)) continue;
      bool ended_by_the_last = false;
      for (size_t i = 0; i < answers.size() && !ended_by_the_last; ++i)
        ended_by_the_last = (set >> i & 1) != 0 && !completes(with(set & ~(1U << i)), who);
      if (!ended_by_the_last) continue;
      State next = state;
      next.candidates[who] = with(set);
      std::string what = name_of(who) + (before.proposed < 0 ? " hears promises of" : " hears acceptances of");
      for (size_t i = 0; i < answers.size(); ++i)
        if ((set >> i & 1) != 0) what += " " + name_of(index_of(mails_[answers[i]].from));
      if (!phase_is_over(std::move(next), who, what)) return false;
    }
  }
  return true;
}

// Checks, and carries on as Membership::decided.
bool RegisterModel::decide(State& state, size_t who) {
  CandidateState& c = state.candidates[who];
  const Round round = rebuild(c, who);
  const ValueId value = c.proposed;
  const Tenure& tenure = values_[static_cast<size_t>(value)];
  for (ValueId other : state.decided) {
    if (other != value && values_[static_cast<size_t>(other)].number == tenure.number)
      objection_ = fmt::format("values {} and {} are both tenure {}", other, value, tenure.number);
  }
  if (std::find(state.decided.begin(), state.decided.end(), value) == state.decided.end()) {
    const auto line = std::find_if(state.lineage.begin(), state.lineage.end(), [&](const auto& l) { return l.first == value; });
    const ValueId parent = line->second;
    if (state.decided.back() != parent)
      objection_ = fmt::format("value {} follows {}, and {} was decided last", value, parent, state.decided.back());
    state.decided.push_back(value);
  }
  if (round.real_majority() && !bounds_.witness) {
    c.seasoned = true;
    const Seat other = seat_of(1 - who);
    const VoterIdentity& voice = round.accepted_by(other);
    if (!voice.acceptor.is_nil()) send(state, seat_of(who), other, AcceptanceCounted{c.ballot, voice.boot});
  }
  if (tenure.number > values_[static_cast<size_t>(c.adopted)].number) c.adopted = value;
  c.undecided = -1;
  c.in_round = false;
  c.half = false;
  c.ballot = {};
  c.proposed = -1;
  c.delivered.clear();
  return objection_.empty();
}

// TenureDecided, from whoever knows it.
bool RegisterModel::decisions_become_known(const State& state) {
  for (size_t who = 0; who < 2; ++who) {
    const bool exhausted = bounds_.witness && state.candidates[who].rounds_left == 0 && !state.candidates[who].in_round;
    if (!state.voters[who].up || exhausted) continue;
    for (ValueId value : state.decided) {
      if (values_[static_cast<size_t>(value)].number <= values_[static_cast<size_t>(state.candidates[who].adopted)].number)
        continue;
      State next = state;
      CandidateState& c = next.candidates[who];
      c.adopted = value;
      // A round was begun in the belief that something else is adopted: it is given up.
      c.in_round = c.half = false;
      c.ballot = {};
      c.proposed = -1;
      c.delivered.clear();
      if (c.undecided >= 0 && values_[static_cast<size_t>(c.undecided)].number <= values_[static_cast<size_t>(value)].number)
        c.undecided = -1;
      if (!follow(std::move(next), fmt::format("{} is told of value {}", name_of(who), value))) return false;
    }
  }
  return true;
}

// --- voters and messages --------------------------------------------------------------------------------------------------------

// A node learns which boot of the other one speaks.
void RegisterModel::hear_boot(State& state, size_t who, const Boot& boot) const {
  CandidateState& c = state.candidates[who];
  for (auto later = static_cast<uint8_t>(c.known_boot + 1); later <= state.voters[1 - who].boot; ++later) {
    if (boot == boot_of(1 - who, later)) c.known_boot = later;
  }
}

// What a voter does with a request. False: it refuses, and nothing changes.
bool RegisterModel::ask(State& state, const Mail& mail) {
  const size_t who = index_of(mail.to);
  VoterState& voter = state.voters[who];
  AcceptorRecord record;
  record.acceptor = acceptor_of(who, voter.life);
  record.promised = voter.promised;
  record.accepted = voter.accepted;
  if (voter.value >= 0) record.tenure = values_[static_cast<size_t>(voter.value)];
  Acceptor acceptor(record, boot_of(who, voter.boot), 50, Instant{0});
  if (index_of(mail.from) != who && who < 2 && !bounds_.deaf_voters) hear_boot(state, who, holder_of(mail.message).boot);
  const auto* prepare = std::get_if<Prepare>(&mail.message);
  const VoterAnswer answer =
      prepare != nullptr ? acceptor.prepare(kNow, *prepare) : acceptor.accept(kNow, std::get<Accept>(mail.message));
  if (std::holds_alternative<VoteRefused>(answer.message)) return false;
  voter.promised = acceptor.record().promised;
  voter.accepted = acceptor.record().accepted;
  voter.value = acceptor.record().tenure ? intern(*acceptor.record().tenure) : ValueId{-1};
  send(state, mail.to, mail.from, answer.message);
  return true;
}

// A candidate asks its own acceptor in the same step; the others when the message arrives, if it does.
void RegisterModel::ask_all(State& state, size_t who, const Message& message) {
  for (size_t to = 0; to < voters(); ++to) {
    if (to == who) {
      ask(state, {seat_of(who), seat_of(who), message});
    } else {
      send(state, seat_of(who), seat_of(to), message);
    }
  }
}

bool RegisterModel::at_voter(const State& state, const Mail& mail) {
  const size_t who = index_of(mail.to);
  if (!state.voters[who].up) return true;
  State next = state;
  if (!ask(next, mail)) return true;
  const bool promise = std::holds_alternative<Prepare>(mail.message);
  return follow(std::move(next),
                fmt::format("{} {} {}'s", name_of(who), promise ? "promises" : "accepts", name_of(index_of(mail.from))));
}

bool RegisterModel::mail_arrives(const State& state) {
  for (MessageId id : state.sent) {
    const Mail mail = mails_[id];
    bool good = true;
    if (std::holds_alternative<Prepare>(mail.message) || std::holds_alternative<Accept>(mail.message)) {
      good = at_voter(state, mail);
    } else if (const auto* counted = std::get_if<AcceptanceCounted>(&mail.message)) {
      const size_t who = index_of(mail.to);
      const VoterState& voter = state.voters[who];
      const bool mine = voter.up && counted->boot == boot_of(who, voter.boot) && counted->ballot == voter.accepted;
      if (!mine || state.candidates[who].seasoned) continue;
      State next = state;
      next.candidates[who].seasoned = true;
      good = follow(std::move(next), fmt::format("{} learns that its acceptance counted", name_of(who)));
    } else if (!bounds_.witness) {
      good = at_candidate(state, id, mail);
    }
    if (!good) return false;
  }
  return !bounds_.witness || answers_complete_a_phase(state);
}

// --- faults -----------------------------------------------------------------------------------------------------------------------

namespace {

// What a process forgets when it ends.
void forget(CandidateState& c) {
  ++c.start;
  c.counter = 1;
  c.undecided = -1;
  c.in_round = c.half = false;
  c.ballot = {};
  c.proposed = -1;
  c.delivered.clear();
  c.ended = -1;
}

}  // namespace

bool RegisterModel::things_go_wrong(const State& state) {
  for (size_t who = 0; who < 2; ++who) {
    const bool exhausted = bounds_.witness && state.candidates[who].rounds_left == 0 && !state.candidates[who].in_round;
    if (state.crashes < bounds_.crashes && state.voters[who].up && !exhausted) {
      State next = state;
      ++next.crashes;
      forget(next.candidates[who]);
      if (!bounds_.witness) next.reports[who] = -1;  // its handler is no longer waited for
      next.candidates[who].seasoned = false;
      if (!follow(std::move(next), fmt::format("{} crashes and starts again", name_of(who)))) return false;
    }
    if (state.fences < bounds_.fences && state.voters[who].up && state.voters[1 - who].up && state.reports[who] < 0) {
      State next = state;
      ++next.fences;
      VoterState& victim = next.voters[1 - who];
      victim.up = false;
      next.reports[who] = static_cast<int8_t>(state.candidates[who].known_boot);
      // The handler was given the boot that its node knew; what it switches off is whatever runs there.
      next.reports[1 - who] = -1;
      forget(next.candidates[1 - who]);
      next.candidates[1 - who].seasoned = false;
      if (!follow(std::move(next), fmt::format("{} fences {}", name_of(who), name_of(1 - who)))) return false;
    }
    if (!state.voters[who].up) {
      State next = state;
      next.voters[who].up = true;
      ++next.voters[who].boot;
      if (!follow(std::move(next), fmt::format("{} boots", name_of(who)))) return false;
    }
  }
  if (bounds_.witness && state.wipes < bounds_.wipes) {
    State next = state;
    ++next.wipes;
    VoterState& emptied = next.voters[2];
    const uint8_t life = emptied.life;
    emptied = VoterState{};
    emptied.life = static_cast<uint8_t>(life + 1);
    if (!follow(std::move(next), "w's storage is emptied")) return false;
  }
  return true;
}

// A report may come late; it is about the boot that was known when the handler was started.
bool RegisterModel::fence_reports(const State& state) {
  for (size_t who = 0; who < 2; ++who) {
    if (state.reports[who] < 0 || !state.voters[who].up) continue;
    State next = state;
    CandidateState& c = next.candidates[who];
    const int8_t evidence = next.reports[who];
    next.reports[who] = -1;
    if (evidence == static_cast<int8_t>(c.known_boot) || bounds_.old_evidence) c.ended = evidence;
    if (!follow(std::move(next), fmt::format("{}'s fence is reported", name_of(who)))) return false;
  }
  return true;
}

}  // namespace lockstep::model
