// `events`: what changed between two looks at all resources, as lines in the manner of `drbdsetup events2`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/status.h"

namespace lockstep {

// One subscriber's view. Keeps the last look only; memory is bounded by the number of resources.
class EventFeed {
 public:
  explicit EventFeed(bool json) : json_(json) {}
  // The first call says "exists" for everything and ends with "exists -"; later calls say create, change and
  // destroy. Lines without newline.
  std::vector<std::string> update(const std::vector<ResourceStatus>& all);

 private:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  struct Object {
    std::string kind;  // resource, connection, device, peer-device, path, voter
    Fields keys;
    Fields state;
  };
  static void describe(const ResourceStatus& status, std::map<std::string, Object>& into);
  std::string line(std::string_view verb, const Object& object, const Fields& state) const;

  bool json_;
  bool begun_ = false;
  std::map<std::string, Object> known_;
};

}  // namespace lockstep
