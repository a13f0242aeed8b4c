// From words to values: numbers with units, sizes with suffixes, addresses. Each returns nothing when the
// word is not one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "control/config/model.h"
#include "control/config/schema.h"

namespace lockstep::config {

std::optional<int64_t> parse_number(std::string_view text);
// "10M", "512k", "7s" (sectors); a bare number counts in `scale` bytes.
std::optional<int64_t> parse_size(std::string_view text, int64_t scale);
// "1.2.3.4:7800", "[::1]:7800", "name:7800". `any_host` also takes ":7800" and "*:7800" (host left empty).
std::optional<Endpoint> parse_endpoint(std::string_view text, bool any_host);
std::optional<NbdListen> parse_nbd(std::string_view text);
// Letters, digits and . _ - ; at most 64 bytes; first a letter or digit.
bool is_name(std::string_view text);

// What is wrong with this value for this option; empty when it is right.
std::string complaint(const OptionSpec& spec, std::string_view value);

}  // namespace lockstep::config
