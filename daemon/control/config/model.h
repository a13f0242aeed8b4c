// The configuration as the daemon uses it: resolved by precedence, checked, without any text left to
// interpret. Plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "control/config/diagnostic.h"
#include "control/config/schema.h"
#include "control/config/tree.h"

namespace lockstep::config {

constexpr size_t kMostVolumes = 8;  // of a resource: what a tenure can name
constexpr size_t kMostVoters = 8;   // data nodes and witnesses of a resource: what a tenure can name

// HOST:PORT. The host is an IPv4 or IPv6 address (without brackets) or a name that is resolved at each
// connection. Empty: any.
struct Endpoint {
  std::string host;
  uint16_t port = 0;
  std::string to_string() const;  // brackets around IPv6
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// One of: a unix socket, TCP, a socket of systemd by its FileDescriptorName, AF_VSOCK.
struct NbdListen {
  std::string unix_path;
  Endpoint tcp;
  std::string systemd;
  uint32_t vsock_port = 0;
  bool is_tcp() const { return unix_path.empty() && systemd.empty() && vsock_port == 0; }
  std::string to_string() const;
  friend bool operator==(const NbdListen&, const NbdListen&) = default;
};

enum class OnNoQuorum : uint8_t { suspend_io, io_error };
enum class OnCongestion : uint8_t { block, pull_ahead, disconnect };
enum class NbdTls : uint8_t { off, selective, forced };
enum class Fencing : uint8_t { dont_care, resource_only, resource_and_stonith };

// Files with keys and certificates; empty: not given.
struct TlsPaths {
  std::string certificate;
  std::string key;
  std::string ca;
  std::string psk;
  std::string allow;
};

struct Options {
  OnNoQuorum on_no_quorum = OnNoQuorum::suspend_io;
  Duration lease_time;
  Duration witness_timeout;
  std::optional<Uuid> resource_uuid;
  bool shared_writers = false;  // several NBD clients may write to one export
  NbdTls nbd_tls = NbdTls::off;
  TlsPaths nbd_tls_files;
  std::string flight_recorder;        // "on", "off", or the directory of the recordings
  uint64_t flight_recorder_size = 0;  // bytes, of all recordings of the resource on a node
};

struct Net {
  Duration timeout;       // a peer that acknowledges no write for so long is dropped
  Duration ping_int;      // a silent link is asked for a sign of life
  Duration ping_timeout;  // and has so long to give it
  Duration connect_int;   // between attempts to connect
  Fencing fencing = Fencing::dont_care;
  std::string shared_secret;  // at most one of the two is set
  std::string shared_secret_file;
  char protocol = 'C';  // where no connection says otherwise
  OnCongestion on_congestion = OnCongestion::block;
  uint64_t congestion_fill = 0;  // bytes
  bool tls = false;
  TlsPaths tls_files;          // all three where tls is set
  bool compare_first = false;  // csums-alg: a resync compares digests before it copies
};

enum class ReadBalancing : uint8_t { prefer_local, round_robin, least_pending };

struct Disk {
  uint64_t c_max_rate = 0;  // bytes a second, 0: no limit
  uint64_t c_min_rate = 0;
  Duration disk_timeout;           // zero: a disk is waited for
  Duration resync_latency_target;  // zero: by what requests take alone
  bool tell_of_errors = false;     // on-io-error call-local-io-error
  bool bear_bad_reads = false;     // on-io-error pass_on: reads that fail never make the disk be given up
  Duration verify_interval;        // zero: only by command
  ReadBalancing read_balancing = ReadBalancing::prefer_local;
  bool oldest_first = false;  // resync-order age
  friend bool operator==(const Disk&, const Disk&) = default;
};

struct Handlers {
  std::vector<std::string> fence_peer;  // argv; empty: no handler
  Duration fence_timeout;
  std::map<std::string, std::vector<std::string>, std::less<>> others;  // argv, by the option's name
  Duration timeout;                                                     // of those
};

struct Volume {
  uint16_t number = 0;
  std::string disk;       // backing file or device
  std::string meta_disk;  // "internal", or the file or device of external metadata
  Disk options;
  bool internal() const { return meta_disk == "internal"; }
};

// The settings that were written, by option; what is absent has its default. Kept for dump.
using Settings = std::map<const OptionSpec*, std::string>;

struct Host {
  std::string name;
  uint8_t node_id = 0;
  Endpoint address;                         // of replication, where no connection says otherwise
  std::optional<Endpoint> control_address;  // a path of its own, without data
  std::vector<NbdListen> nbd;               // none: no export over sockets
  std::optional<Endpoint> metrics;
  std::vector<Volume> volumes;  // by number
  Options options;              // these four are resolved for this host: common < resource < connection < host
  Net net;
  Disk disk;
  Handlers handlers;
  Settings own;  // written inside `on`
  Seat seat() const { return {node_id}; }
};

struct Witness {
  std::string name;
  Endpoint address;
};

// A way between two hosts.
struct PathBetween {
  Endpoint low;  // of the one with the lower node-id
  Endpoint high;
  friend bool operator==(const PathBetween&, const PathBetween&) = default;
};
// What a connection says about the paths between two hosts, in order of preference. Not there: their addresses are the one path.
struct Connection {
  uint8_t low = 0;
  uint8_t high = 0;
  std::vector<PathBetween> paths;
};
// As one end sees it.
struct OwnPath {
  Endpoint local;
  Endpoint remote;
  bool control_only = false;
};

struct Resource {
  std::string name;
  ResourceId id;                   // from options { resource-uuid }, else resource_id_of()
  std::vector<Host> hosts;         // in the order of node-ids
  std::vector<Witness> witnesses;  // in the order of the file: seats 16, 17, ...
  std::vector<Connection> connections;
  std::map<std::pair<uint8_t, uint8_t>, char> protocols;  // of connections, by the lower and the higher node-id
  Settings settings;                                      // common and resource and connection, merged

  const Host* host(std::string_view node) const;  // null: not one of its nodes
  const Host* by_seat(Seat seat) const;
  std::vector<OwnPath> paths(const Host& from, const Host& to) const;  // in the same order at both ends
  char protocol(const Host& from, const Host& to) const;               // A, B or C
  std::string name_of(Seat seat) const;                                // of a node or witness; "node 7" when there is none
};

struct Config {
  std::vector<Resource> resources;  // in the order of the files
  std::optional<Endpoint> metrics;  // global
  const Resource* resource(std::string_view name) const;
};

struct Loaded {
  Config config;  // complete only when ok()
  std::vector<Diagnostic> diagnostics;
  bool ok() const;
  std::string errors() const;    // rendered, empty when ok()
  std::string warnings() const;  // rendered
};

// Reads a configuration with everything that it includes. Never throws; all errors are in the outcome.
Loaded load(const std::string& path, SourceReader& reader);
Loaded load(const std::string& path);

// The id that all nodes and witnesses derive alike from the name and the (node-id, host name) pairs, in any
// order.
ResourceId resource_id_of(std::string_view name, std::vector<std::pair<uint8_t, std::string>> nodes);

// The secret of a host's net section: inline, or the file's first line. Empty when none is configured. At
// most 1024 bytes.
Result<std::string> read_secret(const Net& net);
// What makes it weaker than it looks, and what to do: lines for a person. Empty: nothing, or it cannot be read.
std::string secret_warnings(const std::string& resource, const Net& net);

// The resource, or everything, printed back in normal form. Loading that gives the same configuration.
std::string dump(const Resource& resource);
std::string dump(const Config& config);

}  // namespace lockstep::config
