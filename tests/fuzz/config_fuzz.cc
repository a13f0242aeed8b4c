// Any text as a configuration: it is understood or refused, and what is understood survives being printed and
// read again.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "control/config/model.h"

namespace {

class OneFile final : public lockstep::config::SourceReader {
 public:
  explicit OneFile(std::string text) : text_(std::move(text)) {}
  lockstep::Result<std::string> read(const std::string& path) override {
    if (path != "c") return lockstep::Error{ENOENT, "open the configuration file"};
    return text_;
  }
  std::vector<std::string> expand(const std::string& pattern) override { return {pattern}; }

 private:
  std::string text_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  OneFile first(std::string(reinterpret_cast<const char*>(data), size));
  const auto loaded = lockstep::config::load("c", first);
  if (!loaded.ok()) {
    if (loaded.errors().empty()) std::abort();
    return 0;
  }
  const std::string dumped = lockstep::config::dump(loaded.config);
  OneFile second(dumped);
  const auto again = lockstep::config::load("c", second);
  if (!again.ok() || lockstep::config::dump(again.config) != dumped) std::abort();
  return 0;
}
