#include "shell/resource/resource.h"

#include <sys/prctl.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shell/link/patient_listen.h"
#include "shell/loop/device_open.h"
#include "shell/loop/log.h"
#include "shell/loop/write_cache.h"
#include "shell/metadata_attach.h"
#include "shell/volume_labels.h"

namespace lockstep {

std::string ResourceSettings::name_of(Seat seat) const {
  for (const PeerSettings& peer : links.peers) {
    if (peer.seat == seat) return peer.name;
  }
  return seat == core.self ? "this node" : "node " + std::to_string(seat.value);
}

std::vector<uint16_t> ResourceSettings::volume_numbers() const {
  std::vector<uint16_t> numbers{volume};
  for (const OtherVolume& other : others) numbers.push_back(other.number);
  return numbers;
}

// What is open before the loop has it.
struct Resource::Disks {
  OpenedDevice data;
  OpenedDevice meta;  // external only
  std::vector<OpenedDevice> others;
  AttachedMetadata attached;

  Disks() = default;
  Disks(const Disks&) = delete;
  Disks(Disks&& other) noexcept
      : data(other.data), meta(other.meta), others(std::move(other.others)), attached(std::move(other.attached)) {
    other.data.fd = -1;
    other.meta.fd = -1;
    other.others.clear();
  }
  ~Disks() {
    if (data.fd >= 0) close_device(data);
    if (meta.fd >= 0) close_device(meta);
    for (OpenedDevice& device : others) {
      if (device.fd >= 0) close_device(device);
    }
  }
};

namespace {

std::string cannot_open(const std::string& resource, const std::string& path, const Error& error) {
  std::string text = resource + ": cannot use " + path + ": ";
  const char* correct = "  Correct `disk` or `meta-disk` in the configuration.\n";
  if (error.os == EBUSY) {
    return text + "it is in use by another process or mounted.\n  Stop what uses it (lsof, findmnt), then try again.\n";
  }
  if (error.os == ENOENT) return text + "it does not exist.\n" + correct;
  if (error.os == ENOTBLK) return text + "it is neither a block device nor a regular file.\n" + correct;
  return text + std::strerror(error.os) + " (" + error.where + ").\n";
}

OpenFailure not_attached(const std::string& resource, const MetadataError& error) {
  OpenFailure failure{16, resource + ": " + error.text};
  if (failure.text.back() != '\n') failure.text.push_back('\n');
  return failure;
}

// Whom a promotion here would put out of the resource.
void warn_of_strangers(const ResourceSettings& settings, const NodeRecord& record) {
  if (!record.adopted) return;
  SeatSet named = record.adopted->members;
  for (const Voter& voter : record.adopted->voters) named.insert(voter.seat);
  for (const Seat seat : named - settings.core.data_nodes - settings.core.witnesses) {
    const std::string who = seat.is_witness() ? "a witness" : "node-id " + std::to_string(seat.value);
    log_format(LogLevel::warning, settings.name, "",
               "{} belongs to the resource, and the configuration lacks it: as Primary this node takes it out", who);
  }
}

}  // namespace

bool Resource::claim(const ResourceSettings& settings, Disks& disks, OpenFailure& failure) {
  const auto open = [&](const std::string& path, OpenedDevice& device) {
    if (path.empty()) return true;
    auto opened = open_device(path);
    if (!opened) {
      failure = {16, cannot_open(settings.name, path, opened.error())};
      return false;
    }
    device = opened.value();
    return true;
  };
  for (const OtherVolume& other : settings.others) {
    if (!open(other.disk, disks.others.emplace_back())) return false;
  }
  return open(settings.disk, disks.data) && open(settings.meta_disk, disks.meta);
}

MetadataExpectation Resource::expectation(const ResourceSettings& settings, const Disks& disks) {
  MetadataExpectation expected;
  expected.resource = settings.id;
  expected.node = settings.core.self;
  expected.volume = settings.volume;
  expected.placement = settings.meta_disk.empty() ? Placement::internal : Placement::external;
  expected.data_device_bytes = disks.data.size_bytes;
  expected.peers = settings.core.data_nodes - SeatSet{settings.core.self};
  expected.boot = settings.boot;
  expected.volatile_cache =
      has_volatile_cache(disks.data) || std::any_of(disks.others.begin(), disks.others.end(), has_volatile_cache);
  return expected;
}

bool Resource::can_attach(const ResourceSettings& settings, OpenFailure& failure) {
  Disks disks;
  if (!claim(settings, disks, failure)) return false;
  FdMetadataIo io(settings.meta_disk.empty() ? disks.data : disks.meta);
  const MetadataExpectation expected = expectation(settings, disks);
  const Quorum quorum = read_superblock(io, expected.placement);
  const auto wrong = why_not_attached(io, quorum, expected);
  if (wrong) failure = not_attached(settings.name, *wrong);
  return !wrong && volumes_fit(settings, disks, quorum.superblock.record, failure);
}

// The disks are those of the volumes that the metadata was made for.
bool Resource::volumes_fit(const ResourceSettings& settings, const Disks& disks, const NodeRecord& record, OpenFailure& failure) {
  auto wrong = why_other_volumes(record, settings.volume_numbers());
  for (size_t i = 0; !wrong && i < disks.others.size(); ++i) {
    FdMetadataIo io(disks.others[i]);
    wrong = why_not_labelled(io, settings.others[i].disk, record, record.volumes[i + 1]);
  }
  if (wrong) failure = not_attached(settings.name, *wrong);
  return !wrong;
}

bool Resource::attach(const ResourceSettings& settings, Disks& disks, OpenFailure& failure) {
  FdMetadataIo io(settings.meta_disk.empty() ? disks.data : disks.meta);
  const MetadataExpectation expected = expectation(settings, disks);
  // Before anything is written: attach_metadata() begins a new start.
  const Quorum quorum = read_superblock(io, expected.placement);
  if (const auto wrong = why_not_attached(io, quorum, expected)) {
    failure = not_attached(settings.name, *wrong);
    return false;
  }
  if (!volumes_fit(settings, disks, quorum.superblock.record, failure)) return false;
  AttachOutcome outcome = attach_metadata(io, expected);
  if (!outcome.attached) {
    failure = not_attached(settings.name, outcome.error);
    return false;
  }
  disks.attached = std::move(*outcome.attached);
  return true;
}

std::unique_ptr<TlsStore> Resource::load_keys(const std::string& name, const TlsFiles& files, const char* what,
                                              OpenFailure& failure) {
  std::string wrong;
  auto keys = TlsStore::open(
      files, [name](const std::string& text) { log_line(LogLevel::notice, name, text); }, wrong);
  if (!keys) failure = {10, fmt::format("{}: TLS {}: {}\n", name, what, wrong)};
  return keys;
}

bool Resource::load_keys(ResourceSettings& settings, std::unique_ptr<TlsStore>& of_clients, OpenFailure& failure) {
  if (settings.link_tls_files.x509()) {
    settings.links.tls = load_keys(settings.name, settings.link_tls_files, "between the nodes", failure);
    if (!settings.links.tls) return false;
  }
  if (settings.tls == nbd::TlsPolicy::off) return true;
  of_clients = load_keys(settings.name, settings.tls_files, "for NBD clients", failure);
  return of_clients != nullptr;
}

std::unique_ptr<Resource> Resource::open(ResourceSettings settings, OpenFailure& failure) {
  Disks disks;
  std::unique_ptr<TlsStore> keys;
  if (!load_keys(settings, keys, failure) || !claim(settings, disks, failure) || !attach(settings, disks, failure))
    return nullptr;
  auto loop = EventLoop::create(settings.engine);
  if (!loop) {
    failure = {20, settings.name + ": no I/O engine can be had: " + std::strerror(loop.error().os) + "\n"};
    return nullptr;
  }
  std::unique_ptr<Resource> resource(new Resource(std::move(settings), std::move(loop).value()));
  resource->adopt(std::move(disks));
  resource->clients_->secure_by(std::move(keys));
  const auto listening = listen_patiently([&] { return resource->links_->start(); });
  const auto exporting = listening.ok() ? listen_patiently([&] { return resource->clients_->start(); }) : Result<void>();
  if (!listening.ok() || !exporting.ok()) {
    const Error error = !listening.ok() ? listening.error() : exporting.error();
    const HostPort& own = resource->links_->refused_address();
    const std::string what = !listening.ok() ? "its replication address " + own.host + ":" + own.port
                                             : "the NBD address " + resource->clients_->refused_address();
    failure = {20, resource->settings_.name + ": cannot listen on " + what + ": " + std::strerror(error.os) + " (" + error.where +
                       ").\n  Correct the address in the configuration, or stop what uses it.\n"};
    return nullptr;
  }
  resource->start_thread();
  return resource;
}

Resource::Resource(ResourceSettings settings, std::unique_ptr<EventLoop> loop)
    : settings_(std::move(settings)),
      peer_pool_(settings_.peer_pool_bytes),
      read_pool_(settings_.read_pool_bytes),
      loop_(std::move(loop)),
      digests_(settings_.links.secret),
      peer_refusals_(*loop_, settings_.name, "refusals between the nodes"),
      paths_(*loop_, settings_.name, "changes of paths"),
      strangers_(*loop_, settings_.name, "unknown callers refused"),
      rot_(*loop_, settings_.name, "reads of blocks that do not hold what was written") {}

void Resource::adopt_disks(Disks& disks) {
  const auto adopt = [this](OpenedDevice& device) {
    if (!device.direct)
      log_format(LogLevel::warning, settings_.name, "", "{} does not do direct I/O: the page cache is used", device.path);
    return loop_->adopt_device(std::exchange(device, OpenedDevice{}));
  };
  if (disks.meta.fd >= 0) meta_device_ = loop_->adopt_device(std::exchange(disks.meta, OpenedDevice{}));
  disk_ = adopt(disks.data);
  if (disks.others.empty()) return;
  std::vector<std::unique_ptr<BlockDevice>> all;
  all.push_back(std::move(disk_));
  for (OpenedDevice& device : disks.others) all.push_back(adopt(device));
  auto joined = std::make_unique<JoinedDisk>(*loop_, std::move(all), disks.attached.loaded.record.volumes);
  joined_ = joined.get();
  if (disks.attached.loaded.record.adopted) joined_->lay_out(disks.attached.loaded.record.adopted->volumes);
  disk_ = std::move(joined);
}

void Resource::adopt(Disks disks) {
  if (!loop_->fallback_reason().empty())
    log_format(LogLevel::notice, settings_.name, "", "I/O engine libaio: {}", loop_->fallback_reason());
  const AttachedMetadata& attached = disks.attached;
  if (attached.repaired_copies > 0)
    log_format(LogLevel::warning, settings_.name, "", "repaired {} of 4 superblock copies", attached.repaired_copies);
  if (attached.unreadable_intent_pages + attached.unreadable_bitmap_pages > 0)
    log_format(LogLevel::warning, settings_.name, "", "{} pages of the maps could not be read and count as dirty",
               attached.unreadable_intent_pages + attached.unreadable_bitmap_pages);
  if (attached.loaded.record.doubtful)
    log_format(LogLevel::warning, settings_.name, "", "{} [{}]", text_of(Reason::copy_doubtful), code_of(Reason::copy_doubtful));
  warn_of_strangers(settings_, attached.loaded.record);
  adopt_disks(disks);
  layout_ = attached.chain.last.layout;
  meta_ = std::make_unique<MetaStore>(meta_device_         ? *meta_device_
                                      : joined_ != nullptr ? joined_->lowest()
                                                           : *disk_,
                                      attached.chain);
  if (layout_.digests) {
    settings_.core.digests_at_rest = true;
    checked_ = std::make_unique<CheckedDisk>(*loop_, *meta_, attached.loaded.record.disk, attached.loaded.intent);
  }
  const flight::Beginning beginning{settings_.core, attached.loaded, loop_->now()};
  flight_ = FlightRecorder::open(settings_, beginning);
  replica_ = std::make_unique<Replica>(beginning.config, beginning.loaded, beginning.begun);
  links_ = std::make_unique<LinkManager>(*loop_, peer_pool_, settings_.links, *this);
  ClientPort::Upstream upstream;
  upstream.submit = [this](const ClientRequest& request, BufferRef payload) {
    ClientRequest copy = request;
    if (request.kind == OpKind::write) copy.payload = payloads_.add(std::move(payload));
    happen(copy);
  };
  upstream.look_up = [this](std::string_view name) { return look_up(name); };
  upstream.list = [this] {
    std::vector<nbd::ExportListing> all;
    for (const uint16_t number : settings_.volume_numbers())
      all.push_back({fmt::format("{}/{}", settings_.name, number), "Lockstep resource"});
    return all;
  };
  upstream.sync_status = [this](const Range& range, size_t most) { return sync_status(range, most); };
  upstream.allocation = [this](const Range& range, size_t most, auto done) { find_allocated(range, most, std::move(done)); };
  upstream.reads_wait = [this] { return !reads_waiting_.empty(); };
  clients_ = std::make_unique<ClientPort>(*loop_, settings_, std::move(upstream));
  handlers_ = std::make_unique<HandlerRunner>(*loop_);
  holes_ = std::make_unique<HoleFinder>(*loop_);
}

void Resource::start_thread() {
  thread_ = std::thread([this] {
    ::prctl(PR_SET_NAME, settings_.name.substr(0, 15).c_str());
    log_format(LogLevel::notice, settings_.name, "", "up: {} ({}), start {}", settings_.disk, loop_->engine_name(),
               replica_->record().start());
    arm_timer();
    loop_->run();
    ending_ = true;
    // The parts go on the thread that used them, in the order in which they depend on each other.
    // Clients come last of those that hold payloads: their pool wants its memory back.
    handlers_.reset();
    holes_.reset();
    links_.reset();
    while (disk_ && (disk_->outstanding() > 0 || meta_->outstanding() > 0)) loop_->run_once(milliseconds(100));
    events_.clear();
    effects_.clear();
    reads_waiting_.clear();
    payloads_ = {};
    clients_.reset();
    if (flight_) flight_->closed(loop_->now(), *replica_);
    flight_.reset();
    replica_.reset();
    checked_.reset();
    meta_.reset();
    meta_device_.reset();
    disk_.reset();
  });
}

Resource::~Resource() {
  loop_->stop();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    if (flight_) flight_->discard();
    holes_.reset();
    clients_.reset();
    links_.reset();
  }
}

void Resource::link_up(Seat peer, LinkId link) {
  log_format(LogLevel::notice, settings_.name, "", "{}: link up", settings_.name_of(peer));
  happen(LinkUp{peer, link});
}

void Resource::link_down(Seat peer, LinkId link, const std::string& why) {
  log_format(LogLevel::warning, settings_.name, "", "{}: link down: {}", settings_.name_of(peer), why);
  happen(LinkDown{peer, link});
}

void Resource::message(Seat peer, LinkId link, Message message, BufferRef payload) {
  MessageReceived received{peer, link, std::move(message), payloads_.add(std::move(payload))};
  happen(std::move(received));
}

void Resource::refused(Seat peer, const std::string& why) {
  if (peer == kNoSeat) return strangers_.line(LogLevel::error, "unknown caller: " + why, "refused");
  peer_refusals_.line(LogLevel::error, settings_.name_of(peer) + ": " + why, "refused");
}

void Resource::path_changed(Seat peer, const std::string& what, bool good) {
  paths_.line(good ? LogLevel::info : LogLevel::warning, settings_.name_of(peer) + ": path " + what);
}

}  // namespace lockstep
