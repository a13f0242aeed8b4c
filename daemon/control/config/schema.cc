#include "control/config/schema.h"

namespace lockstep::config {

namespace {

using enum Section;
using enum Kind;
using B = Built;

constexpr OptionSpec not_yet(Section section, std::string_view name, std::string_view why) {
  return {section, name, text, "", 0, 0, "", "", "", B::not_yet, why};
}
constexpr OptionSpec meaningless(Section section, std::string_view name, std::string_view why) {
  return {section, name, text, "", 0, 0, "", "", "", B::meaningless, why};
}

// clang-format off
const std::vector<OptionSpec> kOptions = {
  // section, name, kind, unit, low, high, default, choices, later, built, meaning
  {options, "quorum", choice, "", 0, 0, "majority", "majority", "all", B::yes, "how many voters must answer"},
  {options, "on-no-quorum", choice, "", 0, 0, "suspend-io", "suspend-io|io-error", "", B::yes, "what I/O does without quorum"},
  {options, "auto-promote", choice, "", 0, 0, "no", "no", "yes", B::yes, "promote for the first read-write client"},
  {options, "lease-time", number, "0.1 s", 3, 600, "30", "", "", B::yes, "how long voters keep their word to a Primary"},
  {options, "witness-timeout", number, "0.1 s", 0, 36000, "600", "", "", B::yes, "with fence-peer: a witness silent for so long has no vote until it is back; 0 keeps it"},
  {options, "shared-writers", choice, "", 0, 0, "no", "no|yes", "", B::yes, "several NBD clients may write to one export at a time; they see to it that they do not destroy each other's work"},
  {options, "nbd-tls", choice, "", 0, 0, "off", "off|selective|forced", "", B::yes, "whether NBD clients may (selective) or have to (forced; over TCP) speak TLS"},
  {options, "nbd-tls-certificate", text, "", 1, 4096, "", "", "", B::yes, "the file with the certificate that NBD clients are shown, and those that lead to its authority"},
  {options, "nbd-tls-key", text, "", 1, 4096, "", "", "", B::yes, "the file with that certificate's key"},
  {options, "nbd-tls-ca", text, "", 1, 4096, "", "", "", B::yes, "the file with the authorities that sign NBD clients' certificates; without it clients are not asked for one"},
  {options, "nbd-tls-psk", text, "", 1, 4096, "", "", "", B::yes, "the file with pre-shared keys of NBD clients, NAME:KEY a line"},
  {options, "nbd-tls-allow", text, "", 1, 4096, "", "", "", B::yes, "the file with the names of those NBD clients that may open the exports, one a line, over TCP and by name alone; without it nobody is asked for more than nbd-tls says"},
  {options, "resource-uuid", uuid, "", 0, 0, "", "", "", B::yes, "the resource's id, in place of the one derived from names"},
  {options, "flight-recorder", place, "", 1, 3072, "on", "on|off", "", B::yes, "on (in the run-dir), off, or the directory for recordings of what happens"},
  {options, "flight-recorder-size", size, "bytes", int64_t{2} << 20, int64_t{64} << 30, "64M", "", "", B::yes, "of all recordings of the resource on a node"},
  not_yet(options, "on-no-data-accessible", "losing the last copy always suspends I/O"),
  not_yet(options, "quorum-minimum-redundancy", "redundancy is the current set, as the voters decide it"),
  not_yet(options, "auto-promote-timeout", "it belongs to auto-promote yes"),
  not_yet(options, "read-lease", "reads are always served under the lease"),
  meaningless(options, "cpu-mask", "there are no kernel threads to pin; use the service manager (CPUAffinity=)"),
  meaningless(options, "twopc-timeout", "changes are decided by voters, not by a two-phase commit"),
  meaningless(options, "twopc-retry-timeout", "changes are decided by voters, not by a two-phase commit"),
  meaningless(options, "peer-ack-window", "settling is bounded in time"),
  meaningless(options, "peer-ack-delay", "settling is bounded in time"),
  meaningless(options, "on-suspended-primary-outdated", "a deposed Primary always fails its waiting requests"),

  {net, "protocol", choice, "", 0, 0, "C", "A|B|C", "", B::yes, "a write is acknowledged when it is on this node's disk (A), received by the peer too (B), or on the peer's disk too (C)"},
  {net, "timeout", number, "0.1 s", 5, 600, "60", "", "", B::yes, "a peer that acknowledges no write for so long is dropped"},
  {net, "ping-int", number, "s", 1, 120, "1", "", "", B::yes, "a silent link is asked for a sign of life this often"},
  {net, "ping-timeout", number, "0.1 s", 1, 300, "10", "", "", B::yes, "how long that sign may take"},
  {net, "connect-int", number, "s", 1, 120, "1", "", "", B::yes, "between attempts to connect"},
  {net, "fencing", choice, "", 0, 0, "dont-care", "dont-care|resource-only|resource-and-stonith", "", B::yes, "whether and when fence-peer runs"},
  {net, "shared-secret", text, "", 1, 64, "", "", "", B::yes, "proves peers and witnesses to each other"},
  {net, "shared-secret-file", text, "", 1, 4096, "", "", "", B::yes, "the file that holds the secret"},
  {net, "verify-alg", choice, "", 0, 0, "xxh3", "xxh3", "sha1|sha256|md5|crc32c", B::yes, "the digest with which verify compares copies"},
  {net, "csums-alg", choice, "", 0, 0, "none", "none|xxh3", "sha1|sha256|md5|crc32c", B::yes, "with a digest a resync compares before it copies: for slow links and copies that are mostly equal"},
  {net, "allow-two-primaries", choice, "", 0, 0, "no", "no", "", B::yes, "one Primary at a time"},
  {net, "transport", choice, "", 0, 0, "tcp", "tcp", "rdma|lb-tcp", B::yes, "how nodes talk"},
  {net, "tls", choice, "", 0, 0, "no", "no|yes", "", B::yes, "TLS between the nodes, and to the witnesses"},
  {net, "tls-certificate", text, "", 1, 4096, "", "", "", B::yes, "the file with this node's certificate, and those that lead to its authority"},
  {net, "tls-key", text, "", 1, 4096, "", "", "", B::yes, "the file with that certificate's key"},
  {net, "tls-ca", text, "", 1, 4096, "", "", "", B::yes, "the file with the authorities that sign the nodes' and witnesses' certificates"},
  not_yet(net, "data-integrity-alg", "frames carry their own checksum"),
  not_yet(net, "max-buffers", "buffers have a fixed bound"),
  not_yet(net, "sndbuf-size", "the kernel sizes socket buffers"),
  not_yet(net, "rcvbuf-size", "the kernel sizes socket buffers"),
  {net, "on-congestion", choice, "", 0, 0, "block", "block|pull-ahead|disconnect", "", B::yes, "what becomes of a peer under protocol A or B that is too far behind: writes wait for it, it is resynced later, or its connection is closed"},
  {net, "congestion-fill", size, "bytes", 64 << 10, int64_t{128} << 20, "32M", "", "", B::yes, "how much a peer under protocol A or B may be sent and not have applied"},
  meaningless(net, "congestion-extents", "what a peer may lack is marked block by block; congestion-fill bounds it"),
  not_yet(net, "allow-remote-read", "reads are served from the local disk"),
  meaningless(net, "cram-hmac-alg", "the handshake has one keyed algorithm; shared-secret or shared-secret-file is enough"),
  meaningless(net, "after-sb-0pri", "a split history always waits for a person"),
  meaningless(net, "after-sb-1pri", "a split history always waits for a person"),
  meaningless(net, "after-sb-2pri", "a split history always waits for a person"),
  meaningless(net, "always-asbp", "a split history always waits for a person"),
  meaningless(net, "rr-conflict", "roles are decided before copies meet"),
  meaningless(net, "ko-count", "timeout alone says when a peer is dropped"),
  meaningless(net, "max-epoch-size", "overlapping writes are ordered by the range gate, not by epochs"),
  meaningless(net, "tcp-cork", "frames are batched before they are sent"),
  meaningless(net, "use-rle", "bitmaps travel as ranges"),
  meaningless(net, "socket-check-timeout", "ping-timeout covers it"),
  meaningless(net, "discard-my-data", "it is an option of one connect command, not of the configuration"),

  {disk, "c-max-rate", size, "bytes/s", 0, int64_t{4} << 40, "0", "", "", B::yes, "most that a resync or verify takes; 0 is no limit", 1024},
  {disk, "c-min-rate", size, "bytes/s", 64 << 10, int64_t{4} << 30, "4M", "", "", B::yes, "what a resync or verify takes beside clients, however slow they become by it", 1024},
  {disk, "resync-order", choice, "", 0, 0, "address", "address|age", "", B::yes, "by address: in the order of the disk; by age: first what changed longest ago, so that what clients write again and again comes last"},
  {disk, "resync-latency-target", number, "0.1 ms", 0, 100000, "0", "", "", B::yes, "what a client's request may take beside a resync; 0: twice of what it takes alone"},
  {disk, "disk-timeout", number, "0.1 s", 0, 36000, "300", "", "", B::yes, "a disk that does not answer for so long is given up while there is another current copy; 0 waits"},
  {disk, "on-io-error", choice, "", 0, 0, "detach", "detach|pass_on|call-local-io-error", "", B::yes, "a disk that fails is given up (pass_on: not for reads that fail, however many); the handler local-io-error is told of it"},
  {disk, "read-balancing", choice, "", 0, 0, "prefer-local", "prefer-local|round-robin|least-pending", "prefer-remote|when-congested-remote|32K-striping|64K-striping|128K-striping|256K-striping|512K-striping|1M-striping", B::yes, "which copy answers a read on the Primary; all of them have every acknowledged write"},
  {disk, "verify-interval", number, "s", 0, 31536000, "0", "", "", B::yes, "the Primary compares all copies so often; 0 is only by command"},
  not_yet(disk, "size", "a volume is as large as its smallest disk"),
  meaningless(disk, "c-plan-ahead", "a resync is slowed down by what it does to clients; see resync-latency-target"),
  meaningless(disk, "c-fill-target", "a resync has a fixed window; see resync-latency-target"),
  meaningless(disk, "c-delay-target", "a resync is slowed down by what it does to clients; see resync-latency-target"),
  not_yet(disk, "resync-rate", "c-max-rate is the limit"),
  not_yet(disk, "resync-after", "resyncs run side by side"),
  meaningless(disk, "rs-discard-granularity", "blocks of zeroes always travel as such, and become holes"),
  meaningless(disk, "al-extents", "the intent map has a fixed bound and needs no tuning"),
  meaningless(disk, "al-updates", "the intent map cannot be turned off"),
  meaningless(disk, "disk-flushes", "flushes cannot be turned off: acknowledged flushes survive power loss"),
  meaningless(disk, "md-flushes", "flushes cannot be turned off: metadata decides who may be Primary"),
  meaningless(disk, "disk-barrier", "order is kept by the range gate and flushes"),
  meaningless(disk, "disk-drain", "order is kept by the range gate and flushes"),
  meaningless(disk, "discard-zeroes-if-aligned", "a trim always reads back as zero"),
  meaningless(disk, "disable-write-same", "there is no write-same in NBD"),
  meaningless(disk, "bitmap", "every copy keeps a bitmap for each peer"),

  {handlers, "fence-peer", text, "", 1, 4096, "", "", "", B::yes, "the command that ends a peer's boot"},
  {handlers, "fence-timeout", number, "s", 1, 3600, "60", "", "", B::yes, "after this the handler's process group is killed"},
  {handlers, "split-brain", text, "", 1, 4096, "", "", "", B::yes, "tells that copies with different histories have met"},
  {handlers, "local-io-error", text, "", 1, 4096, "", "", "", B::yes, "tells that the disk failed and was given up"},
  {handlers, "before-resync-target", text, "", 1, 4096, "", "", "", B::yes, "runs before this copy is overwritten by a resync, which waits for its success"},
  {handlers, "after-resync-target", text, "", 1, 4096, "", "", "", B::yes, "tells that this copy is UpToDate again"},
  {handlers, "out-of-sync", text, "", 1, 4096, "", "", "", B::yes, "tells that a verify found differences"},
  {handlers, "quorum-lost", text, "", 1, 4096, "", "", "", B::yes, "tells that I/O is frozen for want of votes"},
  {handlers, "handler-timeout", number, "s", 1, 86400, "60", "", "", B::yes, "after this the process group of any other handler is killed"},
  not_yet(handlers, "unfence-peer", "this handler is not run"),
  not_yet(handlers, "initial-split-brain", "this handler is not run"),
  not_yet(handlers, "pri-lost", "this handler is not run"),
  not_yet(handlers, "pri-lost-after-sb", "this handler is not run"),
  not_yet(handlers, "pri-on-incon-degr", "this handler is not run"),
  not_yet(handlers, "before-resync-source", "this handler is not run"),
  not_yet(handlers, "disconnected", "this handler is not run"),
};
// clang-format on

}  // namespace

const std::vector<OptionSpec>& all_options() { return kOptions; }

const OptionSpec* find_option(Section section, std::string_view name) {
  for (const OptionSpec& spec : kOptions) {
    if (spec.section == section && spec.name == name) return &spec;
  }
  return nullptr;
}

const OptionSpec* find_elsewhere(std::string_view name) {
  for (const OptionSpec& spec : kOptions) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

std::vector<std::string_view> option_names(Section section) {
  std::vector<std::string_view> names;
  for (const OptionSpec& spec : kOptions) {
    const bool usable = spec.built == Built::yes || spec.built == Built::parsed;
    if (spec.section == section && usable) names.push_back(spec.name);
  }
  return names;
}

std::vector<std::string_view> split_choices(std::string_view choices) {
  std::vector<std::string_view> parts;
  while (!choices.empty()) {
    const size_t bar = choices.find('|');
    parts.push_back(choices.substr(0, bar));
    if (bar == std::string_view::npos) break;
    choices.remove_prefix(bar + 1);
  }
  return parts;
}

}  // namespace lockstep::config
