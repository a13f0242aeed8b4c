#include "core/reason.h"

#include <array>

#include "base/check.h"

namespace lockstep {

namespace {

struct Row {
  Reason reason;
  std::string_view code;
  std::string_view text;
  std::string_view remedy;
  RefusalClass refusal;
};

constexpr RefusalClass kNoQuorum{11, -25, "No quorum"};
constexpr RefusalClass kNoData{17, -2, "Need access to UpToDate data"};
constexpr RefusalClass kTwoPrimaries{11, -1, "Multiple primaries not allowed by config"};
constexpr RefusalClass kRefused{11, -10, "State change was refused"};
constexpr RefusalClass kOpen{11, -12, "Device is held open by someone"};
constexpr RefusalClass kNoDisk{16, -11, "Device is diskless, the requested operation requires a disk"};
constexpr RefusalClass kConnection{11, -15, "State change requires a connection"};
constexpr RefusalClass kTimeout{5, -23, "Timeout in operation"};
constexpr RefusalClass kActive{11, -8, "Can not start OV/resync since it is already active"};
constexpr RefusalClass kConnectedOutdates{11, -6, "Refusing to be Outdated while Connected"};
constexpr RefusalClass kConcurrent{11, -19, "Concurrent state changes detected and aborted"};

constexpr auto kTable = std::to_array<Row>({
    {Reason::none, "none", "Nothing is refused.", "", {0, 0, ""}},
    {Reason::no_quorum, "no-quorum", "Fewer voters answer than are needed.", "Bring a missing voter back.", kNoQuorum},
    {Reason::lease_running, "lease-running", "Voters still keep their word to the Primary before: its lease has not run out.",
     "Wait until the lease ends (lease-time), or complete a fence of that node.", kTwoPrimaries},
    {Reason::voters_starting, "voters-starting",
     "Voters started a moment ago and stay silent for the longest lease they ever granted.", "Wait a few seconds.", kNoQuorum},
    {Reason::peer_is_primary, "peer-is-primary", "Another node is Primary.", "Make that node Secondary first.", kTwoPrimaries},
    {Reason::no_current_copy, "no-current-copy", "This copy is not in the current set: it may lack acknowledged writes.",
     "Connect it to a current copy; it is resynced while that one is Primary, or after a clean hand-over.", kNoData},
    {Reason::copy_inconsistent, "copy-inconsistent", "This copy is Inconsistent: a resync into it began and did not finish.",
     "Connect it to a current copy and wait for the resync.", kNoData},
    {Reason::copy_doubtful, "copy-doubtful",
     "This machine lost power, or was started anew, while its disk's write cache may have held acknowledged writes that were not flushed: "
     "another copy of the current set may have more.",
     "Promote a copy that did not lose its cache, or connect all copies of the current set. If those that are away are gone for good: "
     "primary --force takes this copy as it is; writes that were not flushed may be missing.",
     kNoData},
    {Reason::never_used, "never-used", "This disk is new, or its history was given up: it belongs to no set of copies.",
     "If another node has the data, bring that one up and connect it: this disk is then copied from it. Only for a new resource: "
     "declare the disks identical (new-current-uuid --clear-bitmap) or choose this node's data (primary --force).",
     kNoData},
    {Reason::no_disk, "no-disk", "This node has no usable disk for the resource.", "Repair or replace the disk, then attach.",
     kNoDisk},
    {Reason::lease_lost, "lease-lost", "The lease from a majority of voters ran out.", "Bring a missing voter back.", kNoQuorum},
    {Reason::peer_loss_undecided, "peer-loss-undecided",
     "A peer is gone, and the voters have not yet decided the tenure without it.", "Bring a missing voter back.", kNoQuorum},
    {Reason::last_copy_failed, "last-copy-failed", "The disk of the last up-to-date copy failed.",
     "Give that disk what it lacks (space, its path), then down and up on its node (on a Primary the clients have to leave first).",
     kNoData},
    {Reason::different_history, "different-history", "The two copies belong to different histories (split brain).",
     "explain RESOURCE resync lists the extents that may differ. Decide which side has the data to keep, and on the other one: "
     "secondary, then connect --discard-my-data; what differs is then copied from the side that keeps its data. "
     "To promote a node of the older history in spite of the newer one: primary --force.",
     kRefused},
    {Reason::different_size, "different-size", "The peer's device has another size.",
     "Make both devices equally large, or recreate the peer's metadata.", kRefused},
    {Reason::different_protocol, "different-protocol", "The peer is configured for another replication protocol.",
     "Make net { protocol } equal on both nodes.", kRefused},
    {Reason::size_too_small, "size-too-small", "The device is smaller than the resource.", "Use a device at least as large.",
     kRefused},
    {Reason::same_node_id, "same-node-id", "The peer uses an unexpected node-id.", "Make the configuration equal on all nodes.",
     kRefused},
    {Reason::protocol_violation, "protocol-violation", "The peer sent something that the protocol forbids.",
     "Report this with the logs of both nodes.", kRefused},
    {Reason::acknowledgement_timeout, "acknowledgement-timeout", "The peer did not acknowledge writes in time.",
     "Look at the peer's disk and at net { timeout }.", kRefused},
    {Reason::operator_request, "operator-request", "An operator asked for it.", "connect", kRefused},
    {Reason::busy, "busy", "Another command on this resource is running.", "Repeat the command when it is done.", kConcurrent},
    {Reason::device_in_use, "device-in-use", "Clients are connected to the export.", "Disconnect them (umount) first.", kOpen},
    {Reason::io_pending, "io-pending", "Requests in flight could not be finished.",
     "Look at status: a missing peer or voter, or a disk that failed, holds them.", kOpen},
    {Reason::already_used, "already-used", "The disks were used before: declaring them identical could lose data.",
     "Let the resync do its work, or create-md on a disk that may be overwritten.", kRefused},
    {Reason::peer_not_connected, "peer-not-connected", "The peer is not connected.", "Connect it first.", kConnection},
    {Reason::need_all_data_nodes, "need-all-data-nodes", "All data nodes must be connected for this.",
     "Bring up the resource on every data node.", kConnection},
    {Reason::earlier_life, "earlier-life",
     "A voter knows this resource from an earlier life, before create-md ran on these disks.",
     "If another node has the data of that life, bring it up and connect it: this disk is then copied from it. Only if that data is "
     "to be given up for good: remove the resource's files in the witness's state directory.",
     kRefused},
    {Reason::better_copy, "better-copy", "A copy that is connected has more than this one: --force would throw that away.",
     "Promote the node with that copy, or let it level this one.", kNoData},
    {Reason::no_split_brain, "no-split-brain", "No split brain with that peer was met since this resource came up here.",
     "Run connect on both nodes first: if their histories differ, both say so.", kRefused},
    {Reason::metadata_failed, "metadata-failed", "Writing the metadata failed, which counts as a failure of the disk.",
     "Repair or replace the disk, then attach.", kNoDisk},
    {Reason::disk_failed, "disk-failed", "The disk failed and was detached.", "Repair or replace the disk, then attach.",
     kNoDisk},
    {Reason::timed_out, "timed-out", "It took too long.", "Look at status, then repeat the command.", kTimeout},
    {Reason::not_a_target, "not-a-target", "No current copy is connected that this one could be resynced from.",
     "Connect a current copy first.", kConnection},
    {Reason::older_state, "older-state",
     "Another voter has met a later run of this node's metadata: this disk was set back to an older image, or two machines run "
     "with copies of it. It may lack acknowledged writes, and has no vote.",
     "If another machine runs with the same disk, stop one of the two. Then, where the disk may be overwritten: down, create-md "
     "--force, up; it is copied anew from a current copy.",
     kNoData},
    {Reason::peer_older_state, "peer-older-state",
     "The peer's disk or state was set back to an older image, or two machines run with copies of it: a later run of it was met.",
     "On the peer: down, create-md --force, up; it is then copied anew. Where two machines run with one disk, stop one of them "
     "first.",
     kRefused},
    {Reason::invalidate_primary, "invalidate-primary", "This node is Primary: clients use its copy.",
     "Make it Secondary first, or use invalidate-remote on the other node.", kRefused},
    {Reason::verify_elsewhere, "verify-elsewhere",
     "Copies are compared from the Primary, which knows what is being written; without a Primary from any node with a current copy, "
     "after a clean hand-over.",
     "Run verify on the Primary.", kRefused},
    {Reason::verify_active, "verify-active", "The copies are being compared already.",
     "Wait for the end (status shows it), or end it: verify --cancel.", kActive},
    {Reason::io_suspended, "io-suspended", "An operator suspended I/O (suspend-io): requests wait.", "resume-io lets them go on.",
     kRefused},
    {Reason::not_primary, "not-primary", "This node is not Primary: it serves no I/O.", "Give the command on the Primary.",
     kRefused},
    {Reason::would_shrink, "would-shrink", "The volume is larger than that: it would lose its end.",
     "If that end is not needed any more, and no file system reaches into it: resize --size SIZE --shrink.", kRefused},
    {Reason::disks_too_small, "disks-too-small", "The data area of some node's disk is smaller than that.",
     "Let that disk grow: on its node down, move-md, up; then resize again.", kRefused},
    {Reason::not_all_current, "not-all-current", "Some copy is not current, or not connected.",
     "Wait until all disks are UpToDate (wait-sync), then repeat the command.", kRefused},
    {Reason::still_named, "still-named",
     "A node that the configuration has no more still belongs to the resource: only the Primary gives up its copy and its vote.",
     "Bring the configuration of the Primary up to date and run adjust there (without a Primary: promote a node first), then here.",
     kRefused},
    {Reason::last_copy, "last-copy", "It is the only up-to-date copy that the Primary can reach.",
     "Connect another copy and wait until it is UpToDate (wait-sync), or make the Primary Secondary first.", kNoData},
    {Reason::needs_own_vote, "needs-own-vote",
     "This node's vote is on the disk that would go, and without it fewer voters answer than are needed: I/O would freeze.",
     "Bring a missing voter back or add a witness; or make the Primary Secondary first. To use a disk again that was given up for a "
     "failure, down and up on this node does it too.",
     kNoQuorum},
    {Reason::attach_primary, "attach-primary",
     "This node is Primary and serves from its peers: a disk is attached to a Secondary, and levelled while another node is Primary.",
     "Let the clients leave and make this node Secondary, and another one Primary; then attach.", kRefused},
    {Reason::copy_outdated, "copy-outdated",
     "This copy was declared Outdated (outdate, or a fence handler that found the other node Primary): others may have gone on without it. "
     "Alone it takes over from nobody, even if that node was fenced.",
     "Bring another voter back. Accepting a new history that may lack acknowledged writes: primary --force.", kNoData},
    {Reason::outdate_primary, "outdate-primary", "This node is Primary: its copy is the one that counts.",
     "Make it Secondary first.", kRefused},
    {Reason::outdate_connected, "outdate-connected", "A data node is connected: of what happens there this copy hears.",
     "Nothing has to be marked while they are connected. To have it go on without this copy: down, or detach.",
     kConnectedOutdates},
    {Reason::other_voters, "other-voters", "The configuration names other voters than those that it runs with.",
     "adjust takes them over.", kRefused},
    {Reason::other_id, "other-id",
     "The resource's id would become another one: it is derived from the names and node-ids of the nodes.",
     "Write resource-uuid, as the refusal prints it, into the options of the resource on every node.", kRefused},
    {Reason::one_place_at_a_time, "one-place-at-a-time",
     "More than one place would change hands at once. The place of a node is its node-id, that of a witness its rank in the file, and each "
     "has a vote.",
     "Change one place at a time, keep the order of the witnesses, and take out the last of them first.", kRefused},
    {Reason::needs_restart, "needs-restart",
     "What was changed takes effect by going down and up again, which would take the role from this node.",
     "First secondary on this node, and primary on its peer if it is to go on serving.", kRefused},
    {Reason::different_volumes, "different-volumes", "The peer has other volumes than this node.",
     "Name the same volumes for both nodes. A disk that is in use already keeps the volumes that it had at create-md.", kRefused},
    {Reason::several_volumes, "several-volumes", "That is not possible with several volumes in one resource.",
     "Its volumes keep the sizes that their disks had at create-md. To change them, copy the data to a new resource.", kRefused},
    {Reason::congested, "congested",
     "The peer was further behind than congestion-fill allows, and on-congestion says disconnect.",
     "connect brings it up to date again. A larger congestion-fill, or on-congestion pull-ahead, keeps the connection.",
     kRefused},
    {Reason::would_grow, "would-grow", "The volume is not larger than that: there is nothing to give up.",
     "Without --shrink it grows to that size. status --json shows the size that it has.", kRefused},
    {Reason::resize_undecided, "resize-undecided",
     "The new size was proposed, and too few voters answer to decide it: it may still come.",
     "Bring a missing voter back, and look at the size in status --json before the volume is used.", kRefused},
    {Reason::peer_follows, "peer-follows",
     "The peer follows under protocol A or B: while clients write it is not where this node is, so it cannot be compared.",
     "secondary on this node takes it into the set; then verify, and with what differs as explain RESOURCE resync says.",
     kRefused},
    {Reason::beyond_the_end, "beyond-the-end", "That place lies beyond the end of the volume.", "status --json has its size.",
     kRefused},
});
static_assert(kTable.size() == kReasons, "a row for each Reason, and kReasons counts them all");

const Row& row_of(Reason reason) {
  for (const Row& row : kTable) {
    if (row.reason == reason) return row;
  }
  UNREACHABLE("a Reason without a row");
}

}  // namespace

std::string_view code_of(Reason reason) { return row_of(reason).code; }
std::string_view text_of(Reason reason) { return row_of(reason).text; }
std::string_view remedy_of(Reason reason) { return row_of(reason).remedy; }
RefusalClass class_of(Reason reason) { return row_of(reason).refusal; }

}  // namespace lockstep
