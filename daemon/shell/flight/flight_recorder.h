// The flight recorder of a running resource: everything that its Replica is told, in a bounded file that survives the daemon.
// Whatever goes wrong with it is told in the log and costs the resource nothing. Used on the resource's loop.
#pragma once

#include <memory>

#include "flight/recorder.h"
#include "shell/flight/flight_file.h"
#include "shell/resource/settings.h"

namespace lockstep {

class FlightRecorder {
 public:
  // Null: it is turned off, or cannot be had.
  static std::unique_ptr<FlightRecorder> open(const ResourceSettings& settings, const flight::Beginning& beginning);

  void before(Instant now, const Event& event) {
    if (!file_->lost()) recorder_.before(now, event);
  }
  void after(Instant now, const Replica& replica, const Effects& effects);
  void closed(Instant now, const Replica& replica);
  // The resource did not come up after all: no recording, so that those of earlier runs are not pushed out by attempts.
  void discard();

 private:
  FlightRecorder(std::string resource, std::string path, std::unique_ptr<FlightFile> file, const flight::About& about,
                 const flight::Beginning& beginning);

  std::string resource_;
  std::string path_;
  std::unique_ptr<FlightFile> file_;
  flight::Recorder recorder_;
  bool told_loss_ = false;
};

}  // namespace lockstep
