// From drafts to the model: inheritance, defaults, and the checks within one resource.
#include "control/config/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "control/config/tls_options.h"

namespace lockstep::config {

namespace {

// The value of an option as it counts: what the scope says, else the default.
std::string effective(const Scope& scope, Section section, std::string_view name) {
  const OptionSpec* spec = find_option(section, name);
  CHECK(spec != nullptr);
  const auto found = scope.values.find(spec);
  return found != scope.values.end() ? found->second.value : std::string(spec->initial);
}

Duration tenths(const Scope& scope, Section section, std::string_view name) {
  return milliseconds(100 * parse_number(effective(scope, section, name)).value_or(0));
}

Duration whole_seconds(const Scope& scope, Section section, std::string_view name) {
  return seconds(parse_number(effective(scope, section, name)).value_or(0));
}

Options options_of(const Scope& scope) {
  Options options;
  if (effective(scope, Section::options, "on-no-quorum") == "io-error") options.on_no_quorum = OnNoQuorum::io_error;
  options.lease_time = tenths(scope, Section::options, "lease-time");
  options.witness_timeout = tenths(scope, Section::options, "witness-timeout");
  options.shared_writers = effective(scope, Section::options, "shared-writers") == "yes";
  const std::string tls = effective(scope, Section::options, "nbd-tls");
  options.nbd_tls = tls == "forced" ? NbdTls::forced : tls == "selective" ? NbdTls::selective : NbdTls::off;
  options.nbd_tls_files = {effective(scope, Section::options, "nbd-tls-certificate"),
                           effective(scope, Section::options, "nbd-tls-key"), effective(scope, Section::options, "nbd-tls-ca"),
                           effective(scope, Section::options, "nbd-tls-psk"),
                           effective(scope, Section::options, "nbd-tls-allow")};
  options.flight_recorder = effective(scope, Section::options, "flight-recorder");
  const OptionSpec* size = find_option(Section::options, "flight-recorder-size");
  options.flight_recorder_size =
      static_cast<uint64_t>(parse_size(effective(scope, Section::options, "flight-recorder-size"), size->scale).value_or(0));
  options.resource_uuid = Uuid::parse(effective(scope, Section::options, "resource-uuid"));
  return options;
}

Net net_of(const Scope& scope) {
  Net net;
  net.timeout = tenths(scope, Section::net, "timeout");
  net.ping_int = whole_seconds(scope, Section::net, "ping-int");
  net.ping_timeout = tenths(scope, Section::net, "ping-timeout");
  net.connect_int = whole_seconds(scope, Section::net, "connect-int");
  const std::string fencing = effective(scope, Section::net, "fencing");
  if (fencing == "resource-only") net.fencing = Fencing::resource_only;
  if (fencing == "resource-and-stonith") net.fencing = Fencing::resource_and_stonith;
  net.protocol = effective(scope, Section::net, "protocol").front();
  const std::string congestion = effective(scope, Section::net, "on-congestion");
  if (congestion == "pull-ahead") net.on_congestion = OnCongestion::pull_ahead;
  if (congestion == "disconnect") net.on_congestion = OnCongestion::disconnect;
  const int64_t scale = find_option(Section::net, "congestion-fill")->scale;
  net.congestion_fill = static_cast<uint64_t>(parse_size(effective(scope, Section::net, "congestion-fill"), scale).value_or(0));
  net.tls = effective(scope, Section::net, "tls") == "yes";
  net.tls_files = {effective(scope, Section::net, "tls-certificate"),
                   effective(scope, Section::net, "tls-key"),
                   effective(scope, Section::net, "tls-ca"),
                   {},
                   {}};
  net.compare_first = effective(scope, Section::net, "csums-alg") != "none";
  net.shared_secret = effective(scope, Section::net, "shared-secret");
  net.shared_secret_file = effective(scope, Section::net, "shared-secret-file");
  return net;
}

ReadBalancing read_balancing_of(const std::string& word) {
  if (word == "round-robin") return ReadBalancing::round_robin;
  return word == "least-pending" ? ReadBalancing::least_pending : ReadBalancing::prefer_local;
}

Disk disk_of(const Scope& scope) {
  const auto rate = [&scope](std::string_view name) {
    const int64_t scale = find_option(Section::disk, name)->scale;
    return static_cast<uint64_t>(parse_size(effective(scope, Section::disk, name), scale).value_or(0));
  };
  const int64_t target = parse_number(effective(scope, Section::disk, "resync-latency-target")).value_or(0);
  return {rate("c-max-rate"),
          rate("c-min-rate"),
          tenths(scope, Section::disk, "disk-timeout"),
          microseconds(100 * target),
          effective(scope, Section::disk, "on-io-error") == "call-local-io-error",
          effective(scope, Section::disk, "on-io-error") == "pass_on",
          whole_seconds(scope, Section::disk, "verify-interval"),
          read_balancing_of(effective(scope, Section::disk, "read-balancing")),
          effective(scope, Section::disk, "resync-order") == "age"};
}

// Run without a shell: words, as they stand.
std::vector<std::string> argv_of(const std::string& command) {
  std::vector<std::string> argv;
  std::string word;
  for (char c : command + " ") {
    if (c != ' ' && c != '\t') {
      word.push_back(c);
    } else if (!word.empty()) {
      argv.push_back(std::move(word));
      word.clear();
    }
  }
  return argv;
}

Handlers handlers_of(const Scope& scope) {
  Handlers handlers;
  handlers.fence_timeout = whole_seconds(scope, Section::handlers, "fence-timeout");
  handlers.fence_peer = argv_of(effective(scope, Section::handlers, "fence-peer"));
  handlers.timeout = whole_seconds(scope, Section::handlers, "handler-timeout");
  for (const std::string_view name : option_names(Section::handlers)) {
    const bool command = name != "fence-peer" && find_option(Section::handlers, name)->kind == Kind::text;
    std::vector<std::string> argv = command ? argv_of(effective(scope, Section::handlers, name)) : std::vector<std::string>();
    if (!argv.empty()) handlers.others.emplace(name, std::move(argv));
  }
  return handlers;
}

Settings settings_of(const Scope& scope) {
  Settings settings;
  for (const auto& [spec, value] : scope.values) settings[spec] = value.value;
  return settings;
}

class Resolver {
 public:
  Resolver(const Drafts& drafts, const ResourceDraft& draft, Complaints& complaints)
      : drafts_(drafts), draft_(draft), complaints_(complaints) {}

  Resource resolve();

 private:
  void check_scopes();
  void check_secret(const Scope& scope);
  void resolve_hosts();
  void resolve_volumes(const HostDraft& draft, const Scope& scope, Host& host);
  void check_volumes();
  void check_other_volume(const Volume& volume, const VolumeDraft& written, const Volume& lowest);
  std::set<const VolumeDraft*> complained_of_;  // once, however many nodes have it from the resource
  void resolve_witnesses();
  void check_connections();
  void check_alike();
  void check_fencing(const Scope& scope);
  void check_io_error(const Scope& scope);
  void check_rates(const Scope& scope);
  void check_tls(const Scope& scope, const TlsObjection& objection);
  void resolve_connections();
  void resolve_pair(const ConnectionDraft& draft, const Host& low, const Host& high);

  const Drafts& drafts_;
  const ResourceDraft& draft_;
  Complaints& complaints_;
  Scope base_;  // common < resource < connection
  Resource out_;
};

void Resolver::check_secret(const Scope& scope) {
  const auto file = scope.values.find(find_option(Section::net, "shared-secret-file"));
  if (file == scope.values.end() || !scope.values.contains(find_option(Section::net, "shared-secret"))) return;
  complaints_.error(file->second.at, "shared-secret and shared-secret-file contradict each other: give one of them");
}

void Resolver::check_fencing(const Scope& scope) {
  const auto at = [&scope](Section section, std::string_view name) {
    const auto found = scope.values.find(find_option(section, name));
    return found == scope.values.end() ? Location{} : found->second.at;
  };
  const bool handler = !effective(scope, Section::handlers, "fence-peer").empty();
  const bool policy = effective(scope, Section::net, "fencing") != "dont-care";
  if (policy && !handler) {
    complaints_.warning(at(Section::net, "fencing"),
                        fmt::format("resource {}: fencing without handlers {{ fence-peer }} never completes", draft_.name.value));
  }
  if (handler && !policy) {
    complaints_.warning(
        at(Section::handlers, "fence-peer"),
        fmt::format("resource {}: fence-peer never runs while net {{ fencing }} is dont-care", draft_.name.value));
  }
}

void Resolver::check_rates(const Scope& scope) {
  const Disk disk = disk_of(scope);
  if (disk.c_max_rate == 0 || disk.c_max_rate >= disk.c_min_rate) return;
  if (!scope.values.contains(find_option(Section::disk, "c-min-rate"))) return;  // a limit is a limit
  const auto found = scope.values.find(find_option(Section::disk, "c-max-rate"));
  complaints_.error(
      found == scope.values.end() ? Location{} : found->second.at,
      fmt::format("resource {}: c-max-rate is less than c-min-rate ({} and {} bytes/s): raise the one or lower the other",
                  draft_.name.value, disk.c_max_rate, disk.c_min_rate));
}

void Resolver::check_tls(const Scope& scope, const TlsObjection& objection) {
  if (objection.error.empty() && objection.warning.empty()) return;
  const auto found = scope.values.find(find_option(objection.section, objection.option));
  const Location at = found == scope.values.end() ? Location{} : found->second.at;
  const std::string text = "resource " + draft_.name.value + ": ";
  if (!objection.error.empty()) return complaints_.error(at, text + objection.error);
  complaints_.warning(at, text + objection.warning);
}

void Resolver::check_io_error(const Scope& scope) {
  const bool handler = !effective(scope, Section::handlers, "local-io-error").empty();
  const bool policy = effective(scope, Section::disk, "on-io-error") == "call-local-io-error";
  if (handler == policy) return;
  const auto [section, name] = handler ? std::pair(Section::handlers, "local-io-error") : std::pair(Section::disk, "on-io-error");
  const auto found = scope.values.find(find_option(section, name));
  complaints_.warning(found == scope.values.end() ? Location{} : found->second.at,
                      "resource " + draft_.name.value +
                          (handler ? ": local-io-error never runs unless disk { on-io-error } is call-local-io-error"
                                   : ": on-io-error call-local-io-error without handlers { local-io-error } only detaches"));
}

void Resolver::resolve_volumes(const HostDraft& draft, const Scope& scope, Host& host) {
  std::set<uint16_t> numbers;
  for (const auto& [number, volume] : draft_.volumes) numbers.insert(number);
  for (const auto& [number, volume] : draft.volumes) numbers.insert(number);
  if (numbers.empty()) {
    complaints_.error(draft.name.at, fmt::format("resource {} has no volume on {}: volume 0 {{ disk PATH; }}", draft_.name.value,
                                                 draft.name.value));
  }
  for (const uint16_t number : numbers) {
    const auto outer = draft_.volumes.find(number);
    const auto inner = draft.volumes.find(number);
    Volume volume;
    volume.number = number;
    volume.meta_disk = "internal";
    Scope options = scope;
    for (const VolumeDraft* level :
         {outer != draft_.volumes.end() ? &outer->second : nullptr, inner != draft.volumes.end() ? &inner->second : nullptr}) {
      if (!level) continue;
      if (level->disk) volume.disk = level->disk->value;
      if (level->meta_disk) volume.meta_disk = level->meta_disk->value;
      options.overlay(level->options);
    }
    volume.options = disk_of(options);
    if (volume.disk.empty()) {
      complaints_.error(inner != draft.volumes.end() ? inner->second.at : outer->second.at,
                        fmt::format("volume {} has no disk on {}", number, draft.name.value));
    } else if (volume.disk == volume.meta_disk) {
      complaints_.error(inner != draft.volumes.end() ? inner->second.at : outer->second.at,
                        "disk and meta-disk are the same; write meta-disk internal");
    }
    if (!host.volumes.empty())
      check_other_volume(volume, inner != draft.volumes.end() ? inner->second : outer->second, host.volumes.front());
    host.volumes.push_back(std::move(volume));
  }
}

void Resolver::check_other_volume(const Volume& volume, const VolumeDraft& written, const Volume& lowest) {
  const bool wrong = !volume.internal() || volume.options != lowest.options;
  if (!wrong || !complained_of_.insert(&written).second) return;
  if (!volume.internal()) {
    complaints_.error(written.meta_disk ? written.meta_disk->at : written.at,
                      fmt::format("volume {} has no meta-disk of its own: the metadata of all volumes lies with volume {}",
                                  volume.number, lowest.number));
  }
  if (volume.options != lowest.options) {
    complaints_.error(
        written.at, fmt::format("volume {} has other disk options than volume {}: they apply to all volumes of a resource; write "
                                "them into disk {{ }} of the resource",
                                volume.number, lowest.number));
  }
}

void Resolver::resolve_hosts() {
  std::map<std::string, const HostDraft*> names;
  std::map<uint8_t, const HostDraft*> ids;
  for (const HostDraft& draft : draft_.hosts) {
    if (!names.emplace(draft.name.value, &draft).second) {
      complaints_.error(draft.name.at, fmt::format("on {} is given twice", draft.name.value));
    }
    Host host;
    host.name = draft.name.value;
    if (!draft.node_id) {
      complaints_.error(draft.name.at, fmt::format("on {} has no node-id", host.name));
    } else {
      host.node_id = draft.node_id->value;
      const auto [at, fresh] = ids.emplace(host.node_id, &draft);
      if (!fresh) {
        complaints_.error(draft.node_id->at,
                          fmt::format("node-id {} belongs to {} already", host.node_id, at->second->name.value));
      }
    }
    if (const auto address = draft.address ? draft.address : first_address_of(draft_, draft)) {
      host.address = address->value;
    } else {
      complaints_.error(draft.name.at, fmt::format("on {} has no address", host.name));
    }
    if (draft.control_address) host.control_address = draft.control_address->value;
    for (const auto& listen : draft.nbd) host.nbd.push_back(listen.value);
    if (draft.metrics) host.metrics = draft.metrics->value;
    Scope scope = base_;
    scope.overlay(draft.own);
    host.options = options_of(scope);
    host.net = net_of(scope);
    host.disk = disk_of(scope);
    host.handlers = handlers_of(scope);
    host.own = settings_of(draft.own);
    resolve_volumes(draft, scope, host);
    check_secret(draft.own);
    check_fencing(scope);
    check_io_error(scope);
    check_rates(scope);
    check_tls(scope, nbd_tls_objection(host.options));
    check_tls(scope, link_tls_objection(host.net));
    const auto own_id = draft.own.values.find(find_option(Section::options, "resource-uuid"));
    if (own_id != draft.own.values.end()) {
      complaints_.error(own_id->second.at, "resource-uuid must be the same on every node: not inside on HOST");
    }
    out_.hosts.push_back(std::move(host));
  }
  std::stable_sort(out_.hosts.begin(), out_.hosts.end(), [](const Host& a, const Host& b) { return a.node_id < b.node_id; });
}

void Resolver::resolve_witnesses() {
  const size_t most = kMostVoters - std::min(kMostVoters, draft_.hosts.size());
  for (const WitnessDraft& draft : draft_.witnesses) {
    if (out_.witnesses.size() == most) {
      complaints_.error(draft.name.at,
                        fmt::format("more than {} witnesses beside {} data nodes are not built yet", most, draft_.hosts.size()));
      return;
    }
    if (!draft.address) complaints_.error(draft.name.at, fmt::format("witness {} has no address", draft.name.value));
    const auto same = [&draft](const auto& other) { return other.name == draft.name.value; };
    if (std::any_of(out_.witnesses.begin(), out_.witnesses.end(), same) ||
        std::any_of(out_.hosts.begin(), out_.hosts.end(), same)) {
      complaints_.error(draft.name.at, fmt::format("the name {} is taken: a voter votes once", draft.name.value));
    }
    out_.witnesses.push_back({draft.name.value, draft.address ? draft.address->value : Endpoint{}});
  }
}

// A mesh, or one connection for each pair: every data node is connected with every other one.
void Resolver::check_connections() {
  std::vector<std::string_view> known;
  for (const HostDraft& host : draft_.hosts) known.push_back(host.name.value);
  std::set<std::pair<std::string, std::string>> pairs;
  bool doubtful = false;
  for (const ConnectionDraft& connection : draft_.connections) {
    std::set<std::string> named;
    bool unknown = false;
    for (const Placed<std::string>& host : connection.hosts) {
      if (std::find(known.begin(), known.end(), host.value) == known.end()) {
        complaints_.error(host.at, fmt::format("resource {} has no \"on {}\"", draft_.name.value, host.value),
                          nearest_word(host.value, known));
        unknown = true;
      } else if (!named.insert(host.value).second) {
        complaints_.error(host.at, fmt::format("{} is named twice", host.value));
      }
    }
    doubtful = doubtful || unknown;
    for (auto one = named.begin(); one != named.end(); ++one) {
      for (auto other = std::next(one); other != named.end(); ++other) {
        if (!pairs.emplace(*one, *other).second)
          complaints_.error(connection.at, fmt::format("{} and {} have a connection already", *one, *other));
      }
    }
  }
  const size_t all = known.size() * (known.size() - 1) / 2;
  if (!doubtful && !draft_.connections.empty() && !known.empty() && pairs.size() < all)
    complaints_.error(draft_.connections.front().at,
                      "data nodes without a connection between them are not built yet: name them all");
  check_alike();
  for (const Host& one : out_.hosts) {
    for (const Host& other : out_.hosts) {
      if (one.node_id < other.node_id && out_.protocol(one, other) != out_.protocol(other, one))
        complaints_.error(draft_.name.at,
                          fmt::format("{} and {} would have different protocols: write it into the resource's net {{ }} "
                                      "or into their connection",
                                      one.name, other.name));
    }
  }
}

// One set of net options for all connections, but for the protocol.
void Resolver::check_alike() {
  if (draft_.connections.size() < 2) return;
  const ConnectionDraft& first = draft_.connections.front();
  const OptionSpec* protocol = find_option(Section::net, "protocol");
  const auto others = [protocol](const ConnectionDraft& connection) {
    std::map<const OptionSpec*, std::string> values;
    for (const auto& [spec, value] : connection.net.values) {
      if (spec != protocol) values[spec] = value.value;
    }
    return values;
  };
  for (const ConnectionDraft& connection : draft_.connections) {
    if (others(connection) != others(first))
      complaints_.error(connection.at,
                        "net options of one connection alone are not built yet: put them into the resource's net { }");
  }
}

// After the hosts, which it names.
void Resolver::resolve_connections() {
  for (const ConnectionDraft& draft : draft_.connections) {
    for (const Host& low : out_.hosts) {
      for (const Host& high : out_.hosts) {
        if (low.node_id < high.node_id) resolve_pair(draft, low, high);
      }
    }
  }
  const auto has = [](const HostDraft& host) { return host.control_address.has_value(); };
  for (const HostDraft& draft : draft_.hosts) {
    const Host* host = out_.host(draft.name.value);
    for (const Host& other : out_.hosts) {
      if (host == nullptr || !has(draft) || other.node_id <= host->node_id) continue;
      const auto paths = out_.paths(*host, other);
      const auto same = [&paths](const OwnPath& path) {
        return !path.control_only && path.local == paths.back().local && path.remote == paths.back().remote;
      };
      if (paths.back().control_only && std::any_of(paths.begin(), paths.end(), same))
        complaints_.error(draft.control_address->at,
                          "control-address is the address of a path with data: give it one of its own, or leave it out");
    }
  }
  if (std::any_of(draft_.hosts.begin(), draft_.hosts.end(), has)) {
    for (const HostDraft& host : draft_.hosts) {
      if (!has(host))
        complaints_.error(host.name.at,
                          fmt::format("on {} has no control-address, and another node has one: it is a path between "
                                      "all of them",
                                      host.name.value));
    }
  }
}

void Resolver::resolve_pair(const ConnectionDraft& draft, const Host& low, const Host& high) {
  const auto names = [&draft](const Host& host) {
    const auto same = [&host](const Placed<std::string>& named) { return named.value == host.name; };
    return std::any_of(draft.hosts.begin(), draft.hosts.end(), same);
  };
  if (!names(low) || !names(high)) return;
  const auto protocol = draft.net.values.find(find_option(Section::net, "protocol"));
  if (draft_.connections.size() > 1 && protocol != draft.net.values.end())
    out_.protocols[{low.node_id, high.node_id}] = protocol->second.value.front();
  Connection connection{low.node_id, high.node_id, {}};
  const auto given = [](const std::map<std::string, Placed<Endpoint>>& addresses, const Host& host) {
    const auto found = addresses.find(host.name);
    return found != addresses.end() ? found->second.value : host.address;
  };
  for (const PathDraft& path : draft.paths) {
    const PathBetween between{given(path.addresses, low), given(path.addresses, high)};
    if (std::find(connection.paths.begin(), connection.paths.end(), between) != connection.paths.end())
      complaints_.error(path.at, "this path is there already");
    connection.paths.push_back(between);
  }
  constexpr size_t kMostPaths = 7;  // and one for control
  if (connection.paths.size() > kMostPaths)
    complaints_.error(draft.paths[kMostPaths].at, fmt::format("a connection has {} paths at most", kMostPaths));
  if (!draft.addresses.empty()) connection.paths.push_back({given(draft.addresses, low), given(draft.addresses, high)});
  if (!connection.paths.empty()) out_.connections.push_back(std::move(connection));
}

// What all volumes of a resource share lies with the lowest one, and every node has the same ones.
void Resolver::check_volumes() {
  std::map<uint16_t, Location> volumes;
  for (const auto& [number, volume] : draft_.volumes) volumes.emplace(number, volume.at);
  for (const HostDraft& host : draft_.hosts) {
    for (const auto& [number, volume] : host.volumes) volumes.emplace(number, volume.at);
  }
  if (volumes.empty()) return;
  if (volumes.begin()->first != 0)
    complaints_.error(volumes.begin()->second, "the lowest volume of a resource is volume 0: it has the metadata of all of them");
  if (volumes.size() > kMostVolumes)
    complaints_.error(std::next(volumes.begin(), kMostVolumes)->second,
                      fmt::format("a resource has {} volumes at most", kMostVolumes));
  for (const HostDraft& host : draft_.hosts) {
    if (draft_.volumes.empty() && host.volumes.empty()) continue;  // that has been said
    for (const auto& [number, at] : volumes) {
      if (!draft_.volumes.contains(number) && !host.volumes.contains(number))
        complaints_.error(
            at, fmt::format("volume {} is not there on {}: every node has all volumes of a resource", number, host.name.value));
    }
  }
}

void Resolver::check_scopes() {
  constexpr size_t kMostHosts = 3;
  if (draft_.hosts.empty()) {
    complaints_.error(draft_.name.at, fmt::format("resource {} has no data node: on HOST {{ ... }}", draft_.name.value));
  }
  if (draft_.hosts.size() > kMostHosts) {
    complaints_.error(draft_.hosts[kMostHosts].name.at, "more than three data nodes are not built yet");
  }
  check_secret(draft_.own);
  for (const ConnectionDraft& connection : draft_.connections) check_secret(connection.net);
}

Resource Resolver::resolve() {
  out_.name = draft_.name.value;
  check_scopes();
  base_ = drafts_.common;
  base_.overlay(draft_.own);
  const OptionSpec* protocol = find_option(Section::net, "protocol");
  for (const ConnectionDraft& connection : draft_.connections) {
    Scope net = connection.net;
    if (draft_.connections.size() > 1) net.values.erase(protocol);
    base_.overlay(net);
  }
  out_.settings = settings_of(base_);
  resolve_hosts();
  resolve_connections();
  check_volumes();
  resolve_witnesses();
  check_connections();
  std::vector<std::pair<uint8_t, std::string>> nodes;
  for (const Host& host : out_.hosts) nodes.emplace_back(host.node_id, host.name);
  const std::optional<Uuid> given = options_of(base_).resource_uuid;
  out_.id = given ? *given : resource_id_of(out_.name, nodes);
  return std::move(out_);
}

}  // namespace

Config resolve(const Drafts& drafts, Complaints& complaints) {
  Config config;
  if (drafts.metrics) config.metrics = drafts.metrics->value;
  std::map<std::string, Location> names;
  std::set<Uuid> ids;
  for (const ResourceDraft& draft : drafts.resources) {
    const auto [at, fresh] = names.emplace(draft.name.value, draft.name.at);
    if (!fresh) {
      complaints.error(draft.name.at, fmt::format("resource {} is given twice; first in {} line {}", draft.name.value,
                                                  at->second.line->file, at->second.line->number));
      continue;
    }
    config.resources.push_back(Resolver(drafts, draft, complaints).resolve());
    if (!ids.insert(config.resources.back().id).second) {
      complaints.error(draft.name.at, "another resource has the same resource-uuid");
    }
  }
  return config;
}

}  // namespace lockstep::config
