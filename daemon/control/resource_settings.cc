#include "control/resource_settings.h"

namespace lockstep {

static_assert(config::kMostVoters == kMaxVoters);

namespace {

FencingPolicy policy_of(config::Fencing fencing) {
  switch (fencing) {
    case config::Fencing::dont_care:
      return FencingPolicy::dont_care;
    case config::Fencing::resource_only:
      return FencingPolicy::resource_only;
    case config::Fencing::resource_and_stonith:
      return FencingPolicy::resource_and_stonith;
  }
  return FencingPolicy::dont_care;
}

nbd::TlsPolicy policy_of(config::NbdTls wanted) {
  switch (wanted) {
    case config::NbdTls::off:
      return nbd::TlsPolicy::off;
    case config::NbdTls::selective:
      return nbd::TlsPolicy::selective;
    case config::NbdTls::forced:
      return nbd::TlsPolicy::forced;
  }
  return nbd::TlsPolicy::forced;
}

TlsFiles files_of(const config::TlsPaths& paths) { return {paths.certificate, paths.key, paths.ca, paths.psk, paths.allow}; }

ReadBalancing balancing_of(config::ReadBalancing wanted) {
  switch (wanted) {
    case config::ReadBalancing::prefer_local:
      return ReadBalancing::prefer_local;
    case config::ReadBalancing::round_robin:
      return ReadBalancing::round_robin;
    case config::ReadBalancing::least_pending:
      return ReadBalancing::least_pending;
  }
  return ReadBalancing::prefer_local;
}

OnCongestion policy_of(config::OnCongestion wanted) {
  switch (wanted) {
    case config::OnCongestion::block:
      return OnCongestion::block;
    case config::OnCongestion::pull_ahead:
      return OnCongestion::pull_ahead;
    case config::OnCongestion::disconnect:
      return OnCongestion::disconnect;
  }
  return OnCongestion::block;
}

HostPort host_port(const config::Endpoint& endpoint) { return {endpoint.host, std::to_string(endpoint.port)}; }

CoreConfig core_config(const config::Resource& resource, const config::Host& self) {
  CoreConfig core;
  core.self = self.seat();
  for (const config::Host& host : resource.hosts) core.data_nodes.insert(host.seat());
  for (size_t i = 0; i < resource.witnesses.size(); ++i) core.witnesses.insert(witness_seat(static_cast<uint8_t>(i)));
  for (const config::Host& host : resource.hosts) {
    if (host.seat() == core.self || resource.protocol(self, host) == 'C') continue;
    core.asynchronous.insert(host.seat());
    if (resource.protocol(self, host) == 'B') core.by_receipt.insert(host.seat());
  }
  core.on_congestion = policy_of(self.net.on_congestion);
  core.congestion_bytes = self.net.congestion_fill;
  core.lease = self.options.lease_time;
  core.promote_patience = self.options.lease_time * 2 + seconds(3);
  core.witness_timeout = self.options.witness_timeout;
  core.ack_timeout = self.net.timeout;
  core.fail_on_no_quorum = self.options.on_no_quorum == config::OnNoQuorum::io_error;
  core.fencing = policy_of(self.net.fencing);
  const config::Disk& disk = self.volumes.front().options;
  core.resync_max_rate = disk.c_max_rate;
  core.resync_min_rate = disk.c_min_rate;
  core.metadata_on_disk = self.volumes.front().internal();
  core.disk_timeout = disk.disk_timeout;
  if (disk.bear_bad_reads) core.max_failed_reads = UINT32_MAX;
  core.resync_latency_target = disk.resync_latency_target;
  core.resync_by_age = disk.oldest_first;
  core.resync_digests = self.net.compare_first;
  core.fence_handler = !self.handlers.fence_peer.empty();
  core.hold_resync = self.handlers.others.contains("before-resync-target");
  core.verify_interval = disk.verify_interval;
  core.read_balancing = balancing_of(disk.read_balancing);
  return core;
}

LinkSettings link_settings(const config::Resource& resource, const config::Host& self, const std::string& secret) {
  LinkSettings links;
  links.resource = resource.id;
  links.name = resource.name;
  links.self = self.seat();
  for (char c : secret) links.secret.push_back(static_cast<std::byte>(c));
  links.peers = peers_of(resource, self.seat());
  links.ping_int = self.net.ping_int;
  links.ping_timeout = self.net.ping_timeout;
  links.connect_int = self.net.connect_int;
  links.timeout = self.net.timeout;
  return links;
}

}  // namespace

std::vector<PeerSettings> peers_of(const config::Resource& resource, Seat self) {
  std::vector<PeerSettings> peers;
  const config::Host* own = resource.by_seat(self);
  for (const config::Host& host : resource.hosts) {
    if (own == nullptr || host.seat() == self) continue;
    PeerSettings peer{host.seat(), host.name, {}};
    const auto paths = resource.paths(*own, host);
    for (const config::OwnPath& path : paths)
      peer.paths.push_back({host_port(path.local), host_port(path.remote), path.control_only, paths.size() > 1});
    peers.push_back(std::move(peer));
  }
  for (size_t i = 0; i < resource.witnesses.size(); ++i) {
    const config::Witness& witness = resource.witnesses[i];
    peers.push_back({witness_seat(static_cast<uint8_t>(i)), witness.name, {{{}, host_port(witness.address)}}});
  }
  return peers;
}

Result<ResourceSettings> settings_for(const config::Resource& resource, const config::Host& self, Boot boot, IoEngine engine) {
  auto secret = config::read_secret(self.net);
  if (!secret) return secret.error();
  ResourceSettings settings;
  settings.name = resource.name;
  settings.node = self.name;
  settings.id = resource.id;
  settings.core = core_config(resource, self);
  settings.links = link_settings(resource, self, secret.value());
  for (const config::NbdListen& listen : self.nbd)
    settings.nbd.push_back({listen.unix_path, host_port(listen.tcp), listen.systemd, listen.vsock_port});
  const config::Volume& volume = self.volumes.front();
  settings.disk = volume.disk;
  settings.volume = volume.number;
  for (size_t i = 1; i < self.volumes.size(); ++i) settings.others.push_back({self.volumes[i].number, self.volumes[i].disk});
  if (!volume.internal()) settings.meta_disk = volume.meta_disk;
  settings.boot = boot;
  for (size_t i = 0; i < kHandlers; ++i) {
    const auto found = self.handlers.others.find(name_of(static_cast<Handler>(i)));
    if (found != self.handlers.others.end()) settings.handlers[i] = found->second;
  }
  if (!volume.options.tell_of_errors) settings.handlers[static_cast<size_t>(Handler::local_io_error)].clear();
  settings.handlers[static_cast<size_t>(Handler::fence_peer)] = self.handlers.fence_peer;
  settings.handler_timeout = self.handlers.timeout;
  settings.fence_timeout = self.handlers.fence_timeout;
  settings.engine = engine;
  settings.shared_writers = self.options.shared_writers;
  if (self.net.tls) settings.link_tls_files = files_of(self.net.tls_files);
  settings.tls = policy_of(self.options.nbd_tls);
  settings.tls_files = files_of(self.options.nbd_tls_files);
  settings.flight_directory = self.options.flight_recorder;
  settings.flight_bytes = self.options.flight_recorder_size;
  return settings;
}

}  // namespace lockstep
