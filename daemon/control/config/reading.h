// Helpers for reading one statement. Internal to daemon/control/config.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "control/config/draft.h"

namespace lockstep::config {

// A DRBD word that is refused with a reason rather than as unknown.
struct RefusedWord {
  std::string_view word;
  std::string_view reason;  // a whole message after the word: "is not built yet: ..."
};

// Says what is wrong with a word that this place does not know: refused, at home elsewhere, or misspelt.
void unknown_word(const Statement& statement, std::string_view place, std::vector<std::string_view> known,
                  Complaints& complaints);
// The single value of `keyword VALUE;`. Null after a complaint.
const Word* one_value(const Statement& statement, Complaints& complaints);
// A section's name, `keyword NAME { }`. Null after a complaint.
const Word* section_name(const Statement& statement, Complaints& complaints);
// False after a complaint: a section that takes no name and needs its block.
bool plain_section(const Statement& statement, Complaints& complaints);

std::optional<Placed<Endpoint>> read_address(const Statement& statement, Complaints& complaints);
std::optional<Placed<Endpoint>> read_metrics(const Statement& statement, Complaints& complaints);
void read_options(Section section, const Statement& statement, Scope& scope, Complaints& complaints);
void read_volume(const Statement& statement, std::map<uint16_t, VolumeDraft>& volumes, Complaints& complaints);
// `disk PATH;` and `meta-disk PLACE;` outside a volume section mean volume 0. True when the statement was one
// of them.
bool read_bare_volume(const Statement& statement, std::map<uint16_t, VolumeDraft>& volumes, Complaints& complaints);
// options, net, disk, handlers. True when the statement was one of them.
bool read_option_section(const Statement& statement, Scope& scope, Complaints& complaints);

}  // namespace lockstep::config
