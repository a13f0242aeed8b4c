#include "acceptor_store.h"

#include <cstring>
#include <utility>

#include "core/membership/acquaintance.h"
#include "shell/loop/log.h"
#include "wire/auth.h"

namespace lockstep {

namespace {

const char* text_of(StateFound found) {
  switch (found) {
    case StateFound::fresh:
      return "no state yet";
    case StateFound::whole:
      return "state found";
    case StateFound::copied:
      return "is a copy or came out of a backup, which knows nothing of later promises: emptied";
    case StateFound::damaged:
      return "is damaged: emptied";
  }
  return "";
}

void tell_found(const ResourceId& resource, const std::string& path, StateFound found, const Uuid& acceptor) {
  const bool known = found == StateFound::whole;
  if (known || found == StateFound::fresh)
    return log_format(LogLevel::info, resource.to_string(), "", "{}: {} acceptor {}", text_of(found),
                      known ? "the known" : "a new, empty", acceptor.to_string());
  log_format(
      LogLevel::warning, resource.to_string(), "",
      "{} {}; the new acceptor {} has no vote until the resource has a Primary, which needs the other voters for that, and seats "
      "it; nothing has to be done here",
      path, text_of(found), acceptor.to_string());
}

}  // namespace

const Acceptor* AcceptorStore::find(const ResourceId& resource) const {
  const auto found = voters_.find(resource);
  return found != voters_.end() ? &found->second.voter.acceptor() : nullptr;
}

const Error* AcceptorStore::failure_of(const ResourceId& resource) const {
  const auto found = voters_.find(resource);
  return found != voters_.end() && found->second.voter.acceptor().failed() ? &found->second.failure : nullptr;
}

Result<void> AcceptorStore::prepare(const ResourceId& resource) {
  if (const Error* const failure = failure_of(resource)) return *failure;
  if (voters_.contains(resource)) return {};
  auto opened = StateFile::open(path_of(resource), resource);
  if (!opened.ok()) return opened.error();
  StateFile::Opened state = std::move(opened).value();
  const bool whole = state.found == StateFound::whole;
  if (!whole) {
    state.record = WitnessRecord{};
    state.record.acceptor.acceptor = draw_uuid();
  }
  begin_run(state.record.memory.lineage, draw_run_token());
  if (auto stored = state.file.store(state.record); !stored.ok()) return stored;
  if (auto synced = whole ? Result<void>() : dir_.sync(); !synced.ok()) return synced;
  tell_found(resource, path_of(resource), state.found, state.record.acceptor.acceptor);
  voters_.emplace(resource, Entry{std::move(state.file), WitnessVoter(state.record, boot_, kDriftPermille, started_), {}});
  return {};
}

std::optional<Message> AcceptorStore::settle(const ResourceId& resource, Entry& entry, const VoterAnswer& answer) {
  if (!answer.durable_first) return answer.message;
  const WitnessRecord record = entry.voter.record();
  const auto stored = entry.file.store(record);
  if (stored.ok()) {
    entry.voter.acceptor().longest_lease_durable(record.acceptor.longest_lease);
    return answer.message;
  }
  entry.voter.acceptor().storage_failed();
  entry.failure = {stored.error().os, "could not write the state file, and waits to be restarted"};
  log_format(LogLevel::error, resource.to_string(), "",
             "{}: {}: {}; this witness does not vote for the resource any more: make room or replace the disk, then restart it",
             path_of(resource), stored.error().where, std::strerror(stored.error().os));
  return std::nullopt;
}

// What this state promised later is lost: a new acceptor, which the Primary seats as it does with an emptied one.
void AcceptorStore::begin_anew(const ResourceId& resource, Seat from, Entry& entry) {
  WitnessRecord fresh;
  fresh.acceptor.acceptor = draw_uuid();
  begin_run(fresh.memory.lineage, draw_run_token());
  log_format(
      LogLevel::error, resource.to_string(), "",
      "{}: node {} has met a later run of this state: it was set back to an older image, or two witnesses run with copies of "
      "it. It is emptied; the new acceptor {} has no vote until the resource's Primary, with the other voters, seats it",
      path_of(resource), from.value, fresh.acceptor.acceptor.to_string());
  entry.voter = WitnessVoter(fresh, boot_, kDriftPermille, started_);
  settle(resource, entry, VoterAnswer{Superseded{}, true});
}

AcceptorStore::Handled AcceptorStore::handle(const ResourceId& resource, Seat from, Instant now, bool& introduced,
                                             const Message& message) {
  const auto found = voters_.find(resource);
  if (found == voters_.end()) return {};
  Entry& entry = found->second;
  const WitnessOutcome outcome = entry.voter.handle(now, from, introduced, message);
  Handled handled;
  handled.violation = outcome.violation;
  handled.anew = outcome.superseded;
  if (outcome.superseded) begin_anew(resource, from, entry);
  if (outcome.answer) handled.answer = settle(resource, entry, *outcome.answer);
  return handled;
}

}  // namespace lockstep
