#include "sim/recordings.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/check.h"
#include "flight/describe.h"

namespace lockstep::sim {

namespace {
constexpr size_t kSegmentBytes = 64 * 1024;
constexpr size_t kSegments = 4096;
}  // namespace

RunRecording::RunRecording(const flight::Beginning& beginning)
    : node_(beginning.config.self),
      start_(beginning.loaded.record.start()),
      space_(kSegmentBytes, kSegments),
      recorder_(space_, {"simulator", "r0", describe(beginning.config.self), 0, beginning.begun, {}}, beginning) {}

void RunRecording::finish(const Replica& replica, const RecordingSink& sink) {
  sink({node_, start_, replica.record(), space_.bytes()});
}

RecordingSink write_recordings(const std::string& directory, uint64_t seed) {
  return [directory, seed](const Recording& recording) {
    const std::string path = fmt::format("{}/seed-{}-{}-{}.flight", directory, seed, describe(recording.node), recording.start);
    std::FILE* file = std::fopen(path.c_str(), "wb");
    const bool written =
        file != nullptr && std::fwrite(recording.bytes.data(), 1, recording.bytes.size(), file) == recording.bytes.size();
    if (file == nullptr || std::fclose(file) != 0 || !written) fmt::print(stderr, "lockstep-sim: cannot write {}\n", path);
  };
}

}  // namespace lockstep::sim
