#include "acceptor_store.h"

#include <cstring>
#include <utility>

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

// A voter speaks for candidates that it heard from themselves: nobody asks in another node's name.
bool speaks_for_itself(Seat from, const Message& message) {
  if (const auto* prepare = std::get_if<Prepare>(&message)) return prepare->candidate.node == from;
  if (const auto* accept = std::get_if<Accept>(&message)) return accept->candidate.node == from;
  if (const auto* lease = std::get_if<LeaseRequest>(&message)) return lease->holder.node == from;
  if (const auto* released = std::get_if<LeaseReleased>(&message)) return released->holder.node == from;
  return true;
}

}  // namespace

const Acceptor* AcceptorStore::find(const ResourceId& resource) const {
  const auto found = acceptors_.find(resource);
  return found != acceptors_.end() ? &found->second.acceptor : nullptr;
}

const Error* AcceptorStore::failure_of(const ResourceId& resource) const {
  const auto found = acceptors_.find(resource);
  return found != acceptors_.end() && found->second.acceptor.failed() ? &found->second.failure : nullptr;
}

Result<void> AcceptorStore::prepare(const ResourceId& resource) {
  if (const Error* const failure = failure_of(resource)) return *failure;
  if (acceptors_.contains(resource)) return {};
  auto opened = StateFile::open(path_of(resource), resource);
  if (!opened.ok()) return opened.error();
  StateFile::Opened state = std::move(opened).value();
  if (state.found != StateFound::whole) {
    state.record = AcceptorRecord{};
    state.record.acceptor = draw_uuid();
    if (auto stored = state.file.store(state.record); !stored.ok()) return stored;
    if (auto synced = dir_.sync(); !synced.ok()) return synced;
  }
  tell_found(resource, path_of(resource), state.found, state.record.acceptor);
  acceptors_.emplace(resource, Entry{std::move(state.file), Acceptor(state.record, boot_, kDriftPermille, started_), {}});
  return {};
}

std::optional<Message> AcceptorStore::settle(const ResourceId& resource, Entry& entry, VoterAnswer answer) {
  if (!answer.durable_first) return answer.message;
  const auto stored = entry.file.store(entry.acceptor.record());
  if (stored.ok()) {
    entry.acceptor.longest_lease_durable(entry.acceptor.record().longest_lease);
    return answer.message;
  }
  entry.acceptor.storage_failed();
  entry.failure = {stored.error().os, "could not write the state file, and waits to be restarted"};
  log_format(LogLevel::error, resource.to_string(), "",
             "{}: {}: {}; this witness does not vote for the resource any more: make room or replace the disk, then restart it",
             path_of(resource), stored.error().where, std::strerror(stored.error().os));
  return std::nullopt;
}

std::optional<Message> AcceptorStore::handle(const ResourceId& resource, Seat from, Instant now, const Message& message,
                                             bool& violation) {
  violation = false;
  const auto found = acceptors_.find(resource);
  if (found == acceptors_.end()) return std::nullopt;
  Entry& entry = found->second;
  Acceptor& acceptor = entry.acceptor;
  if (!speaks_for_itself(from, message)) {
    violation = true;
    return std::nullopt;
  }
  if (const auto* prepare = std::get_if<Prepare>(&message)) return settle(resource, entry, acceptor.prepare(now, *prepare));
  if (const auto* accept = std::get_if<Accept>(&message)) return settle(resource, entry, acceptor.accept(now, *accept));
  if (const auto* lease = std::get_if<LeaseRequest>(&message)) return settle(resource, entry, acceptor.lease(now, *lease));
  if (const auto* released = std::get_if<LeaseReleased>(&message)) {
    acceptor.released(*released);
  } else if (const auto* ended = std::get_if<BootEnded>(&message)) {
    acceptor.boot_ended(*ended);
  } else if (!std::holds_alternative<AcceptanceCounted>(message)) {  // that one is for data nodes; harmless here
    violation = true;
  }
  return std::nullopt;
}

}  // namespace lockstep
