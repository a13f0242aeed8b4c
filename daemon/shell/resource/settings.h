// Everything that a running resource needs to know, as plain values; made from the configuration by daemon/control.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "core/config.h"
#include "nbd/export.h"
#include "shell/event_loop.h"
#include "shell/link/link_settings.h"
#include "shell/metadata_tool.h"
#include "shell/resource/handler_runner.h"
#include "shell/tls/tls_files.h"

namespace lockstep {

// One of: a unix socket, TCP, a socket of systemd by its FileDescriptorName, AF_VSOCK.
struct NbdAddress {
  std::string unix_path;
  HostPort tcp;
  std::string systemd;
  uint32_t vsock_port = 0;
};

struct ResourceSettings {
  std::string name;
  std::string node;  // this node's name
  ResourceId id;
  CoreConfig core;
  LinkSettings links;       // its `tls` is made of link_tls_files at open()
  TlsFiles link_tls_files;  // none: replication in the clear
  std::vector<NbdAddress> nbd;
  std::string disk;
  std::string meta_disk;            // empty: internal
  uint16_t volume = 0;              // the lowest: `disk` is its
  std::vector<OtherVolume> others;  // by number
  Boot boot;
  std::array<std::vector<std::string>, kHandlers> handlers;  // argv, by Handler; empty: none
  Duration handler_timeout = seconds(60);                    // of all but fence-peer
  Duration fence_timeout = seconds(60);
  std::vector<std::string> handler_environment;  // "NAME=value": LOCKSTEP_NODE, LOCKSTEP_CONFIG, LOCKSTEP_RUN_DIR
  IoEngine engine = IoEngine::automatic;
  size_t pool_bytes = size_t{256} << 20;       // payloads from clients
  size_t peer_pool_bytes = size_t{256} << 20;  // payloads from peers
  size_t read_pool_bytes = size_t{256} << 20;  // payloads that the disk fills
  size_t max_clients = 128;                    // connections
  bool shared_writers = false;                 // several clients may write to one export
  nbd::TlsPolicy tls = nbd::TlsPolicy::off;    // of clients over TCP; by a unix socket none has to
  TlsFiles tls_files;
  Duration client_look = seconds(1);           // between looks at who holds others up: see client_pace.h
  std::string flight_directory;                // of the flight recorder; empty: off
  uint64_t flight_bytes = uint64_t{64} << 20;  // of all its recordings of this resource
  Duration client_leave_time = seconds(5);     // how long `secondary` waits for clients to go

  std::string name_of(Seat seat) const;
  std::vector<uint16_t> volume_numbers() const;
};

}  // namespace lockstep
