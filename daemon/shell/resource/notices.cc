#include "shell/resource/notices.h"

#include <fmt/format.h>

#include "core/durable.h"

namespace lockstep {

namespace {
uint64_t mib(uint64_t blocks) { return blocks * kBlockBytes >> 20; }
}  // namespace

std::string place_text(const ResourceSettings& settings, const VolumeShapes& volumes, uint64_t address) {
  if (volumes.size() < 2) return fmt::format("{}", address);
  const auto place = place_of(volumes, address);
  return place ? fmt::format("{} of {}/{}", place->offset, settings.name, volumes[place->index].number) : "a place in no volume";
}

NoticeText describe(const Note& note, const ResourceSettings& settings, const VolumeShapes& volumes) {
  const std::string who = note.seat == kNoSeat ? std::string() : settings.name_of(note.seat);
  const auto place = [&] { return place_text(settings, volumes, note.a); };
  const auto reason = [&note] { return code_of(static_cast<Reason>(note.a)); };
  switch (note.notice) {
    case Notice::peer_connected:
      return {LogLevel::notice, fmt::format("{}: Connected", who), {}};
    case Notice::peer_refused:
      return {LogLevel::error, fmt::format("{}: refused: {}", who, text_of(static_cast<Reason>(note.a))), reason()};
    case Notice::peer_lost:
      return {LogLevel::warning, fmt::format("{}: connection lost", who), {}};
    case Notice::round_started:
      return {LogLevel::debug, fmt::format("round {} begins", note.a), {}};
    case Notice::tenure_decided:
      return {LogLevel::info, fmt::format("tenure {} is decided", note.a), {}};
    case Notice::tenure_adopted:
      return {LogLevel::notice, fmt::format("tenure {} adopted", note.a), {}};
    case Notice::became_primary:
      return {LogLevel::notice, "role Primary", {}};
    case Notice::became_secondary:
      return {LogLevel::notice, "role Secondary", {}};
    case Notice::deposed:
      return {LogLevel::error, fmt::format("{} became Primary: this node is Secondary, its clients are closed", who), "deposed"};
    case Notice::frozen:
      return {LogLevel::error, "I/O is frozen", reason()};
    case Notice::thawed:
      return {LogLevel::notice, "I/O goes on", {}};
    case Notice::peer_dropped:
      return {LogLevel::warning,
              fmt::format("{}: no longer in the current set; {} blocks ({} MiB) to resync", who, note.a, mib(note.a)),
              {}};
    case Notice::resync_started:
      return {LogLevel::notice, fmt::format("{}: resync begins, {} blocks ({} MiB)", who, note.a, mib(note.a)), {}};
    case Notice::resync_finished:
      return {LogLevel::notice, fmt::format("{}: resync done, {} blocks ({} MiB)", who, note.a, mib(note.a)), {}};
    case Notice::resync_aborted:
      return {LogLevel::warning, fmt::format("{}: resync interrupted; it will go on", who), {}};
    case Notice::resync_paused:
      return {LogLevel::notice, fmt::format("{}: resyncs wait (pause-sync, or before-resync-target there)", who), {}};
    case Notice::resync_resumed:
      return {LogLevel::notice, fmt::format("{}: resyncs may go on", who), {}};
    case Notice::verify_started:
      return {LogLevel::notice, fmt::format("{}: verify begins, {} blocks ({} MiB)", who, note.a, mib(note.a)), {}};
    case Notice::verify_finished:
      if (note.a == 0) return {LogLevel::notice, fmt::format("{}: verify done, the copies are identical", who), {}};
      return {LogLevel::error,
              fmt::format("{}: verify done, {} blocks differ (explain {} resync lists where)", who, note.a, settings.name),
              "copies-differ"};
    case Notice::verify_aborted:
      return {LogLevel::warning, fmt::format("{}: verify ended before it was done", who), {}};
    case Notice::read_failed:
      return {LogLevel::error,
              fmt::format("a read at {} failed here: {} goes on with another copy, and the place is written anew", place(), who),
              "read-failed"};
    case Notice::rot_found:
      if (note.seat == kNoSeat) {
        return {
            LogLevel::error,
            fmt::format("a block at {} does not hold what was written, and there is no other copy: write it anew (restore it)",
                        place()),
            "rot-found"};
      }
      return {LogLevel::error,
              fmt::format("a block at {} does not hold what was written: {} goes on with another copy, and it is written anew",
                          place(), who),
              "rot-found"};
    case Notice::repair_finished:
      return {LogLevel::notice, fmt::format("repair done: {} blocks written anew from {}", note.a, who), {}};
    case Notice::disk_detached:
      return {LogLevel::notice, "the disk is detached (lockstep attach takes one again); this node votes no more until then", {}};
    case Notice::outdated:
      return {LogLevel::warning, "this copy is Outdated: declared so, until another voter was heard", "copy-outdated"};
    case Notice::outdated_no_more:
      return {LogLevel::notice, "another voter was heard: this copy is no longer declared Outdated", {}};
    case Notice::resized:
      return {LogLevel::notice, fmt::format("the volume has {} bytes now", note.a), {}};
    case Notice::left_behind:
      return {LogLevel::warning,
              fmt::format("{}: too far behind ({} KiB sent and not applied there); see on-congestion", who, note.a / 1024),
              "congested"};
    case Notice::disk_hangs:
      return {LogLevel::error, fmt::format("the disk has not answered for {} s (disk-timeout)", note.a), "disk-failed"};
    case Notice::resync_wanted:
      return {LogLevel::notice, fmt::format("{}: a resync waits for before-resync-target", who), {}};
    case Notice::joined:
      return {LogLevel::notice, "this copy is UpToDate", {}};
    case Notice::node_added:
      return {LogLevel::notice, fmt::format("{}: belongs to the configuration now", who), {}};
    case Notice::node_removed:
      return {LogLevel::notice, fmt::format("{}: belongs to the configuration no more", who), {}};
    case Notice::peer_joined:
      return {LogLevel::notice, fmt::format("{}: UpToDate", who), {}};
    case Notice::disk_failed:
      return {LogLevel::error, "the disk failed and is given up", "disk-failed"};
    case Notice::metadata_failed:
      return {LogLevel::error, "the metadata could not be written: the disk is given up, this node votes no more",
              "metadata-failed"};
    case Notice::voter_lost:
      return {LogLevel::warning, fmt::format("{}: this voter no longer answers", who), {}};
    case Notice::voter_back:
      return {LogLevel::notice, fmt::format("{}: this voter answers", who), {}};
    case Notice::voter_replaced:
      return {LogLevel::notice, fmt::format("{}: its new acceptor votes from now on", who), {}};
    case Notice::fence_started:
      return {LogLevel::warning, fmt::format("{}: fence-peer started", who), {}};
    case Notice::fence_finished:
      return {LogLevel::warning, fmt::format("{}: fence-peer ended with {}", who, static_cast<int64_t>(note.a)), {}};
    case Notice::fence_ignored:
      return {LogLevel::warning, fmt::format("{}: fence-peer's {} changes nothing", who, static_cast<int64_t>(note.a)), {}};
    case Notice::caretaker_begins:
      return {LogLevel::notice, "caretaker: nobody is Primary after an unclean end; the copies are levelled", {}};
    case Notice::caretaker_ends:
      return {LogLevel::notice, "caretaker no more", {}};
    case Notice::superseded:
      return {LogLevel::error,
              fmt::format(
                  "{} has met a later run of this node's metadata: this disk is an older state or a copy, and is given up", who),
              "older-state"};
    case Notice::voter_seated:
      return {LogLevel::notice, fmt::format("{}: it votes from now on", who), {}};
    case Notice::voter_unseated:
      return {LogLevel::warning, fmt::format("{}: it has no vote any more", who), {}};
  }
  UNREACHABLE("a Notice without words");
}

}  // namespace lockstep
