// For people who read a recording: whose it is, and what time it was. Lies in the file's header, where the ring never comes; nothing of
// it reaches the core.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace lockstep::flight {

struct About {
  std::string version;  // of the program that recorded
  std::string resource;
  std::string node;
  int64_t unix_ns = 0;  // wall clock at `begun`; 0: not known
  Instant begun;
  std::vector<std::pair<Seat, std::string>> names;
};

// `out`: what is left of the header. Long names are cut.
void encode_about(std::span<std::byte> out, const About& about);
std::optional<About> decode_about(std::span<const std::byte> in);

}  // namespace lockstep::flight
