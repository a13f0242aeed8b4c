// Configurations from memory, for tests.
#pragma once

#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "control/config/model.h"

namespace lockstep::config {

class MemoryReader final : public SourceReader {
 public:
  explicit MemoryReader(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  Result<std::string> read(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return Error{ENOENT, "open the configuration file"};
    return found->second;
  }
  std::vector<std::string> expand(const std::string& pattern) override {
    const size_t star = pattern.find('*');
    if (star == std::string::npos) return {pattern};
    std::vector<std::string> paths;
    for (const auto& [path, text] : files_) {
      const bool head = path.substr(0, star) == pattern.substr(0, star);
      const std::string tail = pattern.substr(star + 1);
      if (head && path.size() >= tail.size() && path.substr(path.size() - tail.size()) == tail) paths.push_back(path);
    }
    return paths;
  }

 private:
  std::map<std::string, std::string> files_;
};

inline Loaded load_text(const std::string& text, std::map<std::string, std::string> others = {}) {
  others["c"] = text;
  MemoryReader reader(std::move(others));
  return load("c", reader);
}

// Two nodes and a witness; `extra` goes into the resource.
inline std::string resource_with(const std::string& extra) {
  return "resource r0 {\n" + extra +
         "\n  volume 0 { disk /dev/d; }\n"
         "  on alpha { node-id 0; address 10.0.0.1:7800; }\n"
         "  on beta { node-id 1; address 10.0.0.2:7800; }\n}\n";
}

inline std::string errors_of(const std::string& text) { return load_text(text).errors(); }

}  // namespace lockstep::config
