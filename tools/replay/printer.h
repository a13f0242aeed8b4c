// Steps of a replay as lines for people.
#pragma once

#include <cstdint>
#include <string>

#include "flight/player.h"

namespace lockstep::replay {

enum class Detail : uint8_t {
  none,
  story,  // notices, roles, tenures, operators, links
  trace,  // every event and effect
};

class Printer {
 public:
  Printer(Detail detail, const flight::About& about) : detail_(detail), about_(about) {}
  void print(const flight::Player::Step& step) const;
  // Wall clock (UTC) where the recording knows it, otherwise seconds since its beginning.
  std::string time_of(Instant when) const;

 private:
  Detail detail_;
  const flight::About& about_;
};

}  // namespace lockstep::replay
