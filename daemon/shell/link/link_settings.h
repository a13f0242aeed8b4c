// What the links of one resource need to know, and what their owner hears and may ask.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/ids.h"
#include "base/time.h"
#include "core/message.h"
#include "shell/link/address.h"
#include "shell/tls/tls_store.h"
#include "wire/hello.h"

namespace lockstep {

// One way to a peer. Both ends have the same paths in the same order: a path's number is its place there.
struct PathSettings {
  HostPort local;             // own address; where we listen, if the peer has a higher seat
  HostPort where;             // the peer's
  bool control_only = false;  // has no data lane
  bool bind = false;          // calls come from `local`: with several paths each has a network of its own
  friend bool operator==(const PathSettings&, const PathSettings&) = default;
};

struct PeerSettings {
  Seat seat;         // a data node's, or a witness's
  std::string name;  // for texts
  std::vector<PathSettings>
      paths;  // at least one that is not control_only, kMaxPaths at most; a witness has one. In order of preference
  friend bool operator==(const PeerSettings&, const PeerSettings&) = default;
};

struct LinkSettings {
  ResourceId resource;
  std::string name;  // of the resource, for texts
  Seat self;
  std::vector<std::byte> secret;  // wiped by nobody: the owner drops the settings after start
  std::vector<PeerSettings> peers;
  Duration ping_int = seconds(1);
  Duration ping_timeout = milliseconds(500);
  Duration connect_int = seconds(10);  // longest pause between two attempts
  Duration timeout = seconds(6);       // a peer that takes no byte of what is queued for so long is gone
  Duration handshake_timeout = seconds(5);
  size_t max_queue_bytes = size_t{256} << 20;  // per connection; a link that needs more is closed
  VersionRange versions;
  std::shared_ptr<TlsStore> tls;  // of all its connections; null: in the clear. Used on the loop's thread
  uint64_t features = kFeatures;  // that it knows of; tests are an older release
};

enum class LinkState : uint8_t { stand_alone, connecting, connected };
const char* name_of(LinkState state);  // as `cstate` prints it

struct PathStatus {
  HostPort local;
  HostPort where;
  bool control_only = false;
  bool standing = false;
  bool carries_data = false;     // what we send of the data lane goes over it
  bool carries_control = false;  // and of the control lane
  std::string last_error;        // why it does not stand
};

struct LinkStatus {
  LinkState state = LinkState::connecting;
  LinkId link;             // when connected
  std::string last_error;  // why the last attempt or link ended; empty after a success
  std::string refusal;     // which end will not talk to the other and why, if that is what keeps them apart
  size_t queued_bytes = 0;
  Negotiated negotiated;  // when connected
  bool tls = false;       // when connected
  std::vector<PathStatus> paths;
};

// Called on the loop's thread, never from within a call of LinkManager. The owner may call LinkManager from
// here.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  // All connections of the link are there and the other end is proved. Ids grow and are never used twice in a
  // run.
  virtual void link_up(Seat peer, LinkId link) = 0;
  // Once for each link_up(), before the next one, close() by the owner included. Nothing more comes from that
  // link.
  virtual void link_down(Seat peer, LinkId link, const std::string& why) = 0;
  // payload: of payload_bytes_of(message) bytes, empty when that is zero.
  virtual void message(Seat peer, LinkId link, Message message, BufferRef payload) = 0;
  // One end would not talk to the other. Repeated attempts that end alike are reported once. kNoSeat: an
  // unknown caller.
  virtual void refused(Seat peer, const std::string& why) = 0;
  // Of a link with several paths: one of them was lost, came back or cannot be had. May come from within start() and
  // set_peers(): of own addresses that cannot be bound.
  virtual void path_changed(Seat peer, const std::string& what, bool good) = 0;
};

}  // namespace lockstep
