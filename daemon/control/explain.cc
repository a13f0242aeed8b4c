#include "control/explain.h"

#include <fmt/format.h>

namespace lockstep {

namespace {

constexpr size_t kMostLines = 64;  // of places in a volume

void add_line(std::string& out, std::string_view text) {
  if (!text.empty()) out += fmt::format("  {}\n", text);
}

std::string labelled(const ResourceStatus& status, Seat seat) {
  return status.name_of(seat) + (seat.is_witness() ? " (witness)" : "");
}

std::string silence_text(const ResourceStatus& status, const VoterSnapshot& voter) {
  if (voter.answers && voter.empty_seat && !status.snapshot.tenure)
    return fmt::format("{} answers and gets its vote when the resource is first used", labelled(status, voter.seat));
  if (voter.answers && voter.empty_seat)
    return fmt::format("{} answers but has no vote: its memory is not the one that the tenure names, until the Primary seats it",
                       status.name_of(voter.seat));
  if (voter.seat == status.self) return fmt::format("{}: its own metadata failed", status.name_of(voter.seat));
  const std::string name = labelled(status, voter.seat);
  const std::string refusal = status.refusal_of(voter.seat);
  const std::string why = refusal.empty() ? "" : fmt::format(" ({})", refusal);
  if (voter.empty_seat) return fmt::format("{}: an empty seat, never heard as a voter{}", name, why);
  return fmt::format("{}: {} for {}{}", name, voter.seat.is_witness() ? "no answer" : "no connection",
                     duration_text(voter.silent_for), why);
}

bool has_copy(DiskState disk) { return disk == DiskState::up_to_date || disk == DiskState::consistent; }

bool lacks_something(DiskState disk) { return disk == DiskState::inconsistent || disk == DiskState::outdated; }

std::string names_of(const ResourceStatus& status, SeatSet seats) {
  std::string out;
  for (const Seat seat : seats) out += fmt::format("{}{}", out.empty() ? "" : ", ", status.name_of(seat));
  return out.empty() ? "none" : out;
}

// A fence stands in for a missing half only where the number of voters is even; built for two (docs/adr/0006).
std::string fence_text(const ResourceStatus& status) {
  const Snapshot& snapshot = status.snapshot;
  if (snapshot.voters.size() == 2) return "With two voters, one of them and a completed fence of the other decide.";
  if (snapshot.voters.size() % 2 == 0)
    return fmt::format("A fence breaks no tie between {} voters yet: that is built for two.", snapshot.voters.size());
  std::string missing;
  std::string node;
  for (const VoterSnapshot& voter : snapshot.voters) {
    if (voter.answers) continue;
    (voter.seat.is_witness() ? missing : node) = status.name_of(voter.seat);
  }
  if (missing.empty() || node.empty()) return "";
  return fmt::format("A fence of {} cannot stand in for {} (lockstep explain {} promote says why).", node, missing, status.name);
}

// Of a resource whose two data nodes are all of its voters.
void explain_two_voters(const ResourceStatus& status, std::string& out) {
  if (status.snapshot.voters.size() != 2) return;
  out +=
      "  Two voters only: losing one freezes I/O and forbids a promotion, until it is back. What prevents that has to be there before\n"
      "  the failure: a fence-peer handler with net { fencing resource-and-stonith }, or a witness, named when the resource is created.\n";
  if (status.snapshot.tenure)
    add_line(out,
             fmt::format("Accepting a new history that may lack acknowledged writes: lockstep primary --force {}", status.name));
}

// What the fence-peer handlers of this run of the daemon brought.
void explain_fences(const ResourceStatus& status, std::string& out) {
  for (const PeerSnapshot& peer : status.snapshot.peers) {
    const std::string name = status.name_of(peer.node);
    const FenceSnapshot& fence = peer.fence;
    if (fence.completed) add_line(out, fmt::format("Fence of {}: completed; its last boot has ended.", name));
    if (fence.running) add_line(out, fmt::format("Fence of {}: its handler runs.", name));
    if (fence.completed || !fence.last_exit_status) continue;
    add_line(out, *fence.last_exit_status < 0
                      ? fmt::format("Fence of {}: the handler was ended by a signal or its time-out, or could not be run.", name)
                      : fmt::format("Fence of {}: the handler ended with {}, which is no completed fence (7).", name,
                                    *fence.last_exit_status));
  }
  if (status.snapshot.voters.size() == 2 && status.snapshot.role != Role::primary && !status.snapshot.seasoned)
    add_line(
        out,
        "Fence: this start of the daemon has not taken part in a decision of both voters yet: no fence lets it decide alone.");
}

bool about_votes(Reason reason) {
  return reason == Reason::no_quorum || reason == Reason::lease_lost || reason == Reason::voters_starting ||
         reason == Reason::peer_loss_undecided;
}

void explain_reason(Reason reason, std::string& out) {
  add_line(out, fmt::format("Rule: {} [{}]", text_of(reason), code_of(reason)));
  if (!remedy_of(reason).empty()) add_line(out, fmt::format("What would change the answer: {}", remedy_of(reason)));
}

std::string tenure_text(const ResourceStatus& status) {
  const std::optional<Tenure>& tenure = status.snapshot.tenure;
  if (!tenure) return "Tenure: none; this resource has never been used.";
  const std::string primary = tenure->primary ? status.name_of(tenure->primary->node) : "none";
  return fmt::format("Tenure {}: Primary {}{}; current set: {}.", tenure->number, primary,
                     tenure->clean ? " (handed over cleanly)" : "", names_of(status, tenure->members));
}

// Who is Primary as far as this node was told, if there is no connection to it.
std::optional<Seat> silent_primary(const ResourceStatus& status) {
  const std::optional<Tenure>& tenure = status.snapshot.tenure;
  if (!tenure || !tenure->primary || tenure->primary->node == status.self) return std::nullopt;
  for (const PeerSnapshot& peer : status.snapshot.peers) {
    if (peer.node == tenure->primary->node && peer.connected) return std::nullopt;
  }
  return tenure->primary->node;
}

// Configured, and no vote yet.
void explain_who_has_no_vote(const ResourceStatus& status, std::string& out) {
  if (!status.snapshot.tenure) return;
  for (const VoterSnapshot& voter : status.snapshot.without_seat) {
    const std::string who = labelled(status, voter.seat);
    add_line(out,
             voter.answers
                 ? fmt::format("{} has no vote yet: the Primary gives it one when every data node is connected and has it in its "
                               "configuration (lockstep adjust {} there).",
                               who, status.name)
                 : fmt::format("{} has no vote, and does not answer.", who));
  }
}

void explain_promote(const ResourceStatus& status, std::string& out) {
  const Snapshot& snapshot = status.snapshot;
  out += fmt::format("{} promote:\n", status.name);
  add_line(out, votes_text(status));
  explain_who_has_no_vote(status, out);
  add_line(out, tenure_text(status));
  add_line(out, fmt::format("This copy: {}{}.", to_text(snapshot.disk),
                            snapshot.tenure && snapshot.tenure->members.contains(status.self) ? ", in the current set"
                                                                                              : ", not in the current set"));
  if (snapshot.role == Role::primary) {
    add_line(out, fmt::format("This node is Primary; {} ms of its lease are left.", snapshot.lease_left.ns / 1'000'000));
    return;
  }
  if (snapshot.reason == Reason::none) {
    const std::optional<Seat> silent = silent_primary(status);
    add_line(out, silent
                      ? fmt::format("{} was Primary and cannot be heard: a promotion asks the voters whether it lives or went on "
                                    "without this copy.",
                                    status.name_of(*silent))
                      : "Nothing known here forbids a promotion.");
    return;
  }
  explain_reason(snapshot.reason, out);
  explain_fences(status, out);
  if (!about_votes(snapshot.reason)) return;
  if (snapshot.voters.size() % 2 == 0) {
    add_line(out, fence_text(status));
  } else {
    add_line(out, "Fence: with an odd number of voters a fence is no vote: the fenced node may have decided something");
    add_line(out, "together with a voter that cannot be heard from here.");
  }
  explain_two_voters(status, out);
}

void explain_io(const ResourceStatus& status, std::string& out) {
  const Snapshot& snapshot = status.snapshot;
  out += fmt::format("{} io:\n", status.name);
  if (snapshot.role != Role::primary) {
    add_line(out, "This node is not Primary: it serves no I/O.");
    return;
  }
  if (snapshot.suspended) {
    add_line(out, "I/O is frozen.");
    explain_reason(snapshot.reason, out);
    if (snapshot.suspended_by_operator && snapshot.reason != Reason::io_suspended) explain_reason(Reason::io_suspended, out);
    add_line(out, votes_text(status));
    explain_fences(status, out);
    if (about_votes(snapshot.reason)) explain_two_voters(status, out);
  } else {
    add_line(out, fmt::format("I/O runs; {} ms of the lease are left, {} requests are in flight.",
                              snapshot.lease_left.ns / 1'000'000, snapshot.client_ops));
  }
  add_line(out, tenure_text(status));
}

void list_places(const ResourceStatus& status, const std::vector<VolumeRange>& places, std::string& out) {
  const bool several = status.snapshot.volumes.size() > 1;
  for (size_t i = 0; i < places.size() && i < kMostLines; ++i) {
    const auto& [index, volume, range] = places[i];
    add_line(out, fmt::format("  {}{} to {}", several ? fmt::format("{}/{}: ", status.name, volume) : "", range.offset,
                              range.end() - 1));
  }
}

// After a split brain: where the two may differ, as far as the bitmaps and intent maps of both know.
void explain_differences(const ResourceStatus& status, const PeerSnapshot& peer, std::string& out) {
  if (peer.differing.empty()) return;
  uint64_t bytes = 0;
  const std::vector<VolumeRange> places = places_of(status.snapshot, peer.differing);
  for (const VolumeRange& place : places) bytes += place.range.length;
  add_line(out,
           fmt::format("May differ: {} MiB, in {} places (bytes of the volume):", (bytes + (1 << 20) - 1) >> 20, places.size()));
  list_places(status, places, out);
  if (places.size() > kMostLines)
    add_line(out, fmt::format("  and {} more (status --json has them all)", places.size() - kMostLines));
}

void explain_pause(const ResourceStatus& status, const PeerSnapshot& peer, std::string& out) {
  const std::string name = status.name_of(peer.node);
  if (peer.paused_here)
    add_line(out, fmt::format("Paused on this node: lockstep resume-sync {}:{} lets it go on.", status.name, name));
  if (peer.held_here)
    add_line(
        out,
        fmt::format("Waits for the handler before-resync-target, which is run again until it succeeds: the log has how it ended. "
                    "lockstep resume-sync {}:{} goes on without it.",
                    status.name, name));
  if (peer.paused_there)
    add_line(out, fmt::format("Paused on {0}: lockstep resume-sync {1} there lets it go on.", name, status.name));
}

void explain_verify(const ResourceStatus& status, const PeerSnapshot& peer, std::string& out) {
  const VerifySnapshot& verify = peer.verify;
  const std::string name = status.name_of(peer.node);
  if (verify.running) add_line(out, fmt::format("{}: being compared, {:.2f}% done.", name, percent_compared(verify)));
  if (verify.differing == 0) return;
  add_line(out, fmt::format("{}: {} blocks of 4 KiB differ from this node's, in these places (bytes of the volume):", name,
                            verify.differing));
  const std::vector<VolumeRange> places = places_of(status.snapshot, verify.extents);
  list_places(status, places, out);
  if (places.size() > kMostLines) add_line(out, fmt::format("  and {} more (status --json)", places.size() - kMostLines));
  add_line(
      out,
      fmt::format("Which copy is right cannot be told here{}. When it is known: lockstep verify {} --repair --from NODE, on the "
                  "Primary, writes these blocks anew from that node's.",
                  status.digests ? ": each has the digest that is kept of it here, or none is kept" : "", status.name));
}

// A resync is sent by the Primary's disk: without one, a copy that lacks something waits, also where another node has all of it.
void explain_no_source(const ResourceStatus& status, std::string& out) {
  const Snapshot& snapshot = status.snapshot;
  std::string primary;
  if (snapshot.role == Role::primary && !has_copy(snapshot.disk)) primary = status.name_of(status.self);
  bool lacking = lacks_something(snapshot.disk);
  for (const PeerSnapshot& peer : snapshot.peers) {
    if (peer.connected && peer.role == Role::primary && !has_copy(peer.disk)) primary = status.name_of(peer.node);
    lacking = lacking || (peer.connected && lacks_something(peer.disk));
  }
  if (primary.empty() || !lacking || snapshot.reason == Reason::last_copy_failed) return;
  add_line(
      out,
      fmt::format(
          "A resync is sent from the Primary's disk, and {0} has none now: when the clients have left, lockstep secondary {1} "
          "there, then lockstep primary {1} on a node whose disk is UpToDate.",
          primary, status.name));
}

void explain_resync(const ResourceStatus& status, std::string& out) {
  out += fmt::format("{} resync:\n", status.name);
  for (const PeerSnapshot& peer : status.snapshot.peers) {
    const std::string name = status.name_of(peer.node);
    const uint64_t kib = peer.dirty_blocks * 4;
    if (resyncing(peer)) {
      const ResyncProgress progress = progress_of(peer);
      add_line(out, fmt::format("{}: {}, {:.2f}% done, {} KiB out of sync, {} KiB/s.", name, to_text(peer.replication),
                                progress.percent_done, kib, progress.kib_per_second));
    } else if (!peer.connected) {
      add_line(out, fmt::format("{}: no connection for {}; {} KiB out of sync as far as this node knows.", name,
                                duration_text(peer.silent_for), kib));
      if (peer.refused != Reason::none) explain_reason(peer.refused, out);
      explain_differences(status, peer, out);
      add_line(out, status.refusal_of(peer.node));
    } else {
      add_line(out, fmt::format("{}: no resync runs; {} KiB out of sync, its disk is {}.", name, kib, to_text(peer.disk)));
    }
    explain_pause(status, peer, out);
    explain_verify(status, peer, out);
  }
  explain_no_source(status, out);
  if (status.snapshot.peers.empty()) add_line(out, "There is no peer.");
}

}  // namespace

std::string votes_text(const ResourceStatus& status) {
  const Snapshot& snapshot = status.snapshot;
  std::string answering;
  std::string silent;
  size_t count = 0;
  for (const VoterSnapshot& voter : snapshot.voters) {
    if (voter.answers && !voter.empty_seat) {
      ++count;
      answering += fmt::format("{}{}", answering.empty() ? "" : ", ", status.name_of(voter.seat));
    } else {
      silent += fmt::format("{}{}", silent.empty() ? "" : "; ", silence_text(status, voter));
    }
  }
  const size_t needed = snapshot.votes_needed > 0 ? snapshot.votes_needed : snapshot.voters.size() / 2 + 1;
  std::string out = fmt::format("{} of {} voters {}", count, snapshot.voters.size(), count == 1 ? "answers" : "answer");
  if (!answering.empty()) out += fmt::format(" ({})", answering);
  out += fmt::format("; {} {} needed.", needed, needed == 1 ? "is" : "are");
  if (!silent.empty()) out += fmt::format(" {}.", silent);
  return out;
}

std::string new_history_text(std::string_view resource) {
  return fmt::format(
      "{0}: a new history begins with this node's copy. Acknowledged writes that only other copies have are not in it.\n"
      "  A node of the old history that comes back stands alone: lockstep explain {0} resync lists what differs, and\n"
      "  lockstep connect --discard-my-data {0}, on the node whose data is given up, levels it with the other one.\n",
      resource);
}

ControlReply refusal(const ResourceStatus& status, Reason reason) {
  const RefusalClass refused = class_of(reason);
  ControlReply reply;
  reply.exit_status = refused.exit_status;
  reply.err = fmt::format("{}: State change failed: ({}) {}\n", status.name, refused.number, refused.headline);
  if (about_votes(reason)) {
    if (reason != Reason::no_quorum) add_line(reply.err, fmt::format("{} [{}]", text_of(reason), code_of(reason)));
    add_line(reply.err, votes_text(status));
    const std::string fence = reason == Reason::voters_starting ? "" : fence_text(status);
    const std::string way = reason == Reason::voters_starting ? "Wait a few seconds." : "Bring one of them back.";
    add_line(reply.err, fence.empty() ? way : way + " " + fence);
    if (reason == Reason::no_quorum && status.snapshot.tenure)
      add_line(reply.err, fmt::format("Accepting a new history that may lack acknowledged writes: lockstep primary --force {}",
                                      status.name));
    return reply;
  }
  add_line(reply.err, fmt::format("{} [{}]", text_of(reason), code_of(reason)));
  add_line(reply.err, remedy_of(reason));
  return reply;
}

std::optional<ExplainTopic> parse_topic(std::string_view word) {
  if (word.empty()) return ExplainTopic::everything;
  if (word == "promote") return ExplainTopic::promote;
  if (word == "io") return ExplainTopic::io;
  if (word == "resync") return ExplainTopic::resync;
  return std::nullopt;
}

std::string explain_text(const ResourceStatus& status, ExplainTopic topic) {
  std::string out;
  const bool all = topic == ExplainTopic::everything;
  if (all || topic == ExplainTopic::promote) explain_promote(status, out);
  if (all || topic == ExplainTopic::io) explain_io(status, out);
  if (all || topic == ExplainTopic::resync) explain_resync(status, out);
  return out;
}

std::string show_gi_text(const ResourceStatus& status) {
  const Snapshot& snapshot = status.snapshot;
  const bool several = snapshot.volumes.size() > 1;
  std::string out = fmt::format("{}{}\n", status.name, several ? "" : fmt::format("/{}", snapshot.volumes[0].number));
  const auto row = [&out](std::string_view name, std::string_view value) { out += fmt::format("  {:<14} {}\n", name, value); };
  row("disk-uuid", snapshot.disk_uuid.to_string());
  row("disk-state", to_text(snapshot.disk));
  for (const VolumeShape& shape : snapshot.volumes)
    row(several ? fmt::format("size of /{}", shape.number) : "size", fmt::format("{} KiB", shape.size_bytes / 1024));
  if (!snapshot.tenure) {
    row("tenure", "none: never used");
    return out;
  }
  const Tenure& tenure = *snapshot.tenure;
  row("history", tenure.history.to_string());
  if (!tenure.parent.is_nil()) row("parent", tenure.parent.to_string());
  row("tenure", fmt::format("{}", tenure.number));
  row("primary", tenure.primary ? status.name_of(tenure.primary->node) : "none");
  row("current-set", names_of(status, tenure.members));
  std::string voters;
  for (const Voter& voter : tenure.voters) {
    const std::string acceptor = voter.acceptor.is_nil() ? "empty seat" : voter.acceptor.to_string();
    voters += fmt::format("{}{} ({})", voters.empty() ? "" : ", ", labelled(status, voter.seat), acceptor);
  }
  row("voters", voters);
  std::string flags = tenure.clean ? "clean" : "";
  const auto flag = [&flags](std::string_view name) { flags += fmt::format("{}{}", flags.empty() ? "" : ",", name); };
  if (tenure.members.contains(status.self)) flag("current");
  if (snapshot.disk == DiskState::inconsistent) flag("inconsistent");
  row("flags", flags.empty() ? "none" : flags);
  return out;
}

}  // namespace lockstep
