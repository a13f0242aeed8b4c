#include "shell/resource/client_account.h"

#include <algorithm>

namespace lockstep {

void ClientAccount::show(ClientView& view, Instant now) const {
  view.connected = now - since_;
  view.requests = requests_;
  view.bytes_read = bytes_read_;
  view.bytes_written = bytes_written_;
  view.refused = refused_;
  for (const Operation& is : running_) {
    if (is.running) view.in_flight.push_back({is.type, is.offset, is.length, now - is.begun});
  }
  std::stable_sort(view.in_flight.begin(), view.in_flight.end(), [](const auto& a, const auto& b) { return a.age > b.age; });
}

}  // namespace lockstep
