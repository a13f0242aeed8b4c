// What two resources, or two parts of one, must not share on one host.
#include <fmt/format.h>

#include "control/config/resolve.h"

namespace lockstep::config {

namespace {

struct User {
  std::string host;
  std::string host_part;  // of an address; empty: any
  uint16_t port = 0;
  Location at;
};

class SharedUse {
 public:
  explicit SharedUse(Complaints& complaints) : complaints_(complaints) {}

  // A port that is listened on at `host`. An address without a host takes the port on all of them.
  void port(const std::string& host, const Placed<Endpoint>& endpoint) {
    for (const User& user : ports_) {
      const bool overlap = user.host_part.empty() || endpoint.value.host.empty() || user.host_part == endpoint.value.host;
      if (user.host != host || user.port != endpoint.value.port || !overlap) continue;
      taken(endpoint.at, fmt::format("port {} on {}", endpoint.value.port, host), user.at);
      return;
    }
    ports_.push_back({host, endpoint.value.host, endpoint.value.port, endpoint.at});
  }

  // Replication addresses and witnesses are reached from everywhere: one address is one program.
  void reachable(const std::string& owner, const Placed<Endpoint>& endpoint, bool shareable) {
    const auto [at, fresh] = reachable_.try_emplace(endpoint.value, owner, endpoint.at);
    if (fresh || (shareable && at->second.first == owner)) return;
    taken(endpoint.at, fmt::format("address {}", endpoint.value.to_string()), at->second.second);
  }

  void path(const std::string& host, std::string_view what, const std::string& path, const Location& where) {
    const auto [at, fresh] = paths_.try_emplace({host, path}, where);
    if (!fresh) taken(where, fmt::format("{} {} on {}", what, path, host), at->second);
  }

 private:
  void taken(const Location& at, const std::string& what, const Location& first) {
    complaints_.error(at, fmt::format("{} is in use already: {} line {}", what, first.line->file, first.line->number));
  }

  Complaints& complaints_;
  std::vector<User> ports_;
  std::map<Endpoint, std::pair<std::string, Location>> reachable_;
  std::map<std::pair<std::string, std::string>, Location> paths_;
};

void check_volumes(const ResourceDraft& resource, const HostDraft& host, SharedUse& use) {
  std::map<uint16_t, std::pair<std::optional<Placed<std::string>>, std::optional<Placed<std::string>>>> merged;
  for (const auto* level : {&resource.volumes, &host.volumes}) {
    for (const auto& [number, volume] : *level) {
      if (volume.disk) merged[number].first = volume.disk;
      if (volume.meta_disk) merged[number].second = volume.meta_disk;
    }
  }
  for (const auto& [number, places] : merged) {
    const auto& [disk, meta] = places;
    if (disk) use.path(host.name.value, "disk", disk->value, disk->at);
    if (meta && meta->value != "internal" && (!disk || meta->value != disk->value)) {
      use.path(host.name.value, "meta-disk", meta->value, meta->at);
    }
  }
}

// Everywhere where others of the resource call it; an address that several of them use is one place.
std::map<Endpoint, Location> addresses_of(const ResourceDraft& resource, const HostDraft& host) {
  std::map<Endpoint, Location> all;
  const auto add = [&all](const Placed<Endpoint>& address) { all.emplace(address.value, address.at); };
  if (host.address) add(*host.address);
  if (host.control_address) add(*host.control_address);
  for (const ConnectionDraft& connection : resource.connections) {
    const auto found = connection.addresses.find(host.name.value);
    if (found != connection.addresses.end()) add(found->second);
    for (const PathDraft& path : connection.paths) {
      const auto here = path.addresses.find(host.name.value);
      if (here != path.addresses.end()) add(here->second);
    }
  }
  return all;
}

void check_host(const ResourceDraft& resource, const HostDraft& host, SharedUse& use) {
  for (const auto& [address, at] : addresses_of(resource, host)) {
    use.reachable(resource.name.value + "/" + host.name.value, {address, at}, false);
    use.port(host.name.value, {address, at});
  }
  for (const Placed<NbdListen>& listen : host.nbd) {
    if (listen.value.is_tcp()) {
      use.port(host.name.value, {listen.value.tcp, listen.at});
    } else {
      use.path(host.name.value, "socket", listen.value.unix_path.empty() ? listen.value.to_string() : listen.value.unix_path,
               listen.at);
    }
  }
  check_volumes(resource, host, use);
}

}  // namespace

void check_shared_use(const Drafts& drafts, Complaints& complaints) {
  SharedUse use(complaints);
  for (const ResourceDraft& resource : drafts.resources) {
    for (const HostDraft& host : resource.hosts) check_host(resource, host, use);
  }
  for (const ResourceDraft& resource : drafts.resources) {
    std::map<Endpoint, Location> own;
    for (const WitnessDraft& witness : resource.witnesses) {
      if (!witness.address) continue;
      // One witness serves many resources, under any name, but votes once in each.
      const auto [at, fresh] = own.emplace(witness.address->value, witness.address->at);
      if (!fresh) {
        complaints.error(witness.address->at,
                         fmt::format("address {} is in use already: {} line {}", witness.address->value.to_string(),
                                     at->second.line->file, at->second.line->number));
        continue;
      }
      use.reachable("witness", *witness.address, true);
    }
  }
}

}  // namespace lockstep::config
