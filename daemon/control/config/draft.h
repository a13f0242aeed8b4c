// Between the tree and the model: the sections of a resource as they were written, words checked one by one,
// nothing yet inherited or compared. Internal to daemon/control/config.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/config/model.h"
#include "control/config/tree.h"
#include "control/config/values.h"

namespace lockstep::config {

// Collects what is wrong; stops collecting after a screenful.
class Complaints {
 public:
  explicit Complaints(std::vector<Diagnostic>& out) : out_(out) {}
  void error(const Location& at, std::string message, std::string nearest = "") {
    add({Severity::error, at, std::move(message), std::move(nearest)});
  }
  void warning(const Location& at, std::string message) { add({Severity::warning, at, std::move(message), ""}); }

 private:
  void add(Diagnostic diagnostic) {
    constexpr size_t kEnough = 25;
    if (out_.size() < kEnough) out_.push_back(std::move(diagnostic));
  }
  std::vector<Diagnostic>& out_;
};

template <class T>
struct Placed {
  T value{};
  Location at;
};

// What one scope (common, a resource, a connection, a host, a volume) sets.
struct Scope {
  std::map<const OptionSpec*, Placed<std::string>> values;
  // `inner` goes before this. The two ways to give a secret replace each other.
  void overlay(const Scope& inner);
};

struct VolumeDraft {
  Location at;
  std::optional<Placed<std::string>> disk;
  std::optional<Placed<std::string>> meta_disk;
  Scope options;
};

struct HostDraft {
  Placed<std::string> name;
  std::optional<Placed<uint8_t>> node_id;
  std::optional<Placed<Endpoint>> address;
  std::optional<Placed<Endpoint>> control_address;
  std::vector<Placed<NbdListen>> nbd;
  std::optional<Placed<Endpoint>> metrics;
  std::map<uint16_t, VolumeDraft> volumes;
  Scope own;
};

struct WitnessDraft {
  Placed<std::string> name;
  std::optional<Placed<Endpoint>> address;
};

struct PathDraft {
  Location at;
  std::map<std::string, Placed<Endpoint>> addresses;  // by host
};

struct ConnectionDraft {
  Location at;
  std::vector<Placed<std::string>> hosts;             // the paths' too
  std::map<std::string, Placed<Endpoint>> addresses;  // given beside the host's name; none when there are paths
  std::vector<PathDraft> paths;
  Scope net;
};

struct ResourceDraft {
  Placed<std::string> name;
  Scope own;
  std::map<uint16_t, VolumeDraft> volumes;
  std::vector<HostDraft> hosts;
  std::vector<WitnessDraft> witnesses;
  std::vector<ConnectionDraft> connections;
};

struct Drafts {
  std::optional<Placed<Endpoint>> metrics;
  Scope common;
  std::vector<ResourceDraft> resources;
};

// The first address that a host has anywhere for replication: in a connection, in a path, or its own.
std::optional<Placed<Endpoint>> first_address_of(const ResourceDraft& resource, const HostDraft& host);

Drafts read_drafts(const std::vector<Statement>& statements, Complaints& complaints);

}  // namespace lockstep::config
