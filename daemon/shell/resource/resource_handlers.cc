// Handlers: fence-peer, whose outcome the core waits for; before-resync-target, which a resync waits for; and those that only tell somebody.
#include "core/reason.h"
#include "shell/loop/log.h"
#include "shell/resource/resource.h"

namespace lockstep {

HandlerCommand Resource::handler_command(Handler kind, Seat peer) const {
  HandlerCommand command;
  command.argv = settings_.handlers[static_cast<size_t>(kind)];
  command.timeout = kind == Handler::fence_peer ? settings_.fence_timeout : settings_.handler_timeout;
  command.environment = settings_.handler_environment;
  command.environment.push_back("LOCKSTEP_RESOURCE=" + settings_.name);
  command.environment.push_back("LOCKSTEP_PEER=" + (peer == kNoSeat ? std::string() : settings_.name_of(peer)));
  command.environment.push_back("LOCKSTEP_DISK=" + settings_.disk);
  std::string numbers;
  for (const uint16_t number : settings_.volume_numbers()) numbers += (numbers.empty() ? "" : " ") + std::to_string(number);
  command.environment.push_back("LOCKSTEP_VOLUMES=" + numbers);
  command.environment.push_back("LOCKSTEP_DISK_" + std::to_string(settings_.volume) + "=" + settings_.disk);
  for (const OtherVolume& other : settings_.others)
    command.environment.push_back("LOCKSTEP_DISK_" + std::to_string(other.number) + "=" + other.disk);
  const auto& tenure = replica_->record().adopted;
  command.environment.push_back("LOCKSTEP_TENURE=" + std::to_string(tenure ? tenure->number : 0));
  return command;
}

void Resource::run(const RunFence& effect) {
  handlers_->start(Handler::fence_peer, effect.peer, handler_command(Handler::fence_peer, effect.peer),
                   [this, peer = effect.peer, evidence = effect.evidence](int exit_status) {
                     happen(FenceDone{peer, evidence, exit_status});
                   });
}

void Resource::run_handlers(const Note& note) {
  const auto is = [&note](Notice notice) { return note.notice == notice; };
  const Reason reason = static_cast<Reason>(note.a);
  if (is(Notice::resync_wanted)) before_resync(note);
  if (is(Notice::disk_failed) || is(Notice::metadata_failed)) tell(Handler::local_io_error, kNoSeat);
  if (is(Notice::joined)) tell(Handler::after_resync_target, kNoSeat);
  if (is(Notice::verify_finished) && note.a > 0) tell(Handler::out_of_sync, note.seat);
  if (is(Notice::frozen) && (reason == Reason::no_quorum || reason == Reason::lease_lost)) tell(Handler::quorum_lost, kNoSeat);
  if (is(Notice::peer_refused) && reason == Reason::different_history) tell(Handler::split_brain, note.seat);
}

// What comes of it changes nothing here.
void Resource::tell(Handler kind, Seat peer) {
  const HandlerCommand command = handler_command(kind, peer);
  if (command.argv.empty()) return;
  handlers_->start(kind, peer, command, [this, name = name_of(kind)](int exit_status) {
    const LogLevel level = exit_status == 0 ? LogLevel::notice : LogLevel::warning;
    log_format(level, settings_.name, "", "{} ended with {}", name, exit_status);
  });
}

// The copy becomes a mixture only when this succeeded: it is what is left if the source fails in the middle. While it waits, the core asks again.
void Resource::before_resync(const Note& wanted) {
  const Seat peer = wanted.seat;
  const HandlerCommand command = handler_command(Handler::before_resync_target, peer);
  handlers_->start(Handler::before_resync_target, kNoSeat, command, [this, peer, episode = wanted.a](int exit_status) {
    if (exit_status == 0) return begin_admin({{}, AdminOp::allow_resync, peer, {}, {}, episode, false}, [](const AdminReply&) {});
    log_format(
        LogLevel::error, settings_.name, "",
        "{}: before-resync-target ended with {}: the resync waits; it is run again, and lockstep resume-sync {} goes on without it",
        settings_.name_of(peer), exit_status, settings_.name);
  });
}

}  // namespace lockstep
