#include "control/config/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace lockstep::config {

namespace {

constexpr auto kRefused = std::to_array<RefusedWord>({
    {"device", "has no meaning here: a volume is exported over NBD; say where with nbd inside on HOST"},
    {"startup", "has no meaning here: nothing waits at boot; use wait-connect and wait-sync"},
    {"floating", "is not built yet: nodes are found by name; use on HOST"},
    {"stacked-on-top-of", "is not built yet"},
    {"stacked-timeouts", "is not built yet"},
    {"template-file", "is not built yet: use common { } or include"},
    {"proxy", "is not built yet"},
    {"_this_host", "is not a word for files"},
    {"_remote_host", "is not a word for files"},
    {"usage-count", "has no meaning here: nothing is counted or sent anywhere"},
    {"dialog-refresh", "has no meaning here"},
    {"disable-ip-verification", "has no meaning here: addresses are not compared with interfaces"},
    {"udev-always-use-vnr", "has no meaning here: there are no device nodes"},
    {"cmd-timeout-short", "has no meaning here"},
    {"cmd-timeout-medium", "has no meaning here"},
    {"cmd-timeout-long", "has no meaning here"},
    {"flexible-meta-disk", "has no meaning here: external metadata is always as large as it must be; use meta-disk FILE"},
});

// A missing semicolon shows as a word too many on a further line.
void too_many(const Statement& statement, size_t expected, Complaints& complaints) {
  const Word& extra = statement.words[expected];
  const Word& last = statement.words[expected - 1];
  if (extra.at.line && last.at.line && extra.at.line->number != last.at.line->number) {
    complaints.error(last.at, fmt::format("a \";\" is missing after \"{}\"", last.text));
  } else {
    complaints.error(extra.at, fmt::format("\"{}\" is one word too many after {}", extra.text, statement.keyword()));
  }
}

bool is_switch(const OptionSpec& spec) { return spec.kind == Kind::choice && spec.choices == "no"; }

void set_once(std::optional<Placed<std::string>>& slot, const Word& word, std::string_view what, Complaints& complaints) {
  if (slot) {
    complaints.error(word.at, fmt::format("{} is given twice; first in line {}", what, slot->at.line->number));
    return;
  }
  if (word.text.empty()) {
    complaints.error(word.at, fmt::format("{} takes a path", what));
    return;
  }
  slot = Placed<std::string>{word.text, word.at};
}

// DRBD's PATH[INDEX] and PATH [INDEX], also [flexible]: a slot in metadata that several volumes share.
bool is_indexed(const Statement& statement) {
  const std::string& last = statement.words.back().text;
  return statement.words.size() > 1 && last.ends_with(']') && last.find('[') != std::string::npos;
}

void read_disk_path(const Statement& statement, VolumeDraft& volume, Complaints& complaints) {
  if (statement.keyword() == "meta-disk" && !statement.has_block && is_indexed(statement)) {
    complaints.error(
        statement.words[1].at,
        "indexed metadata is not supported: each volume's metadata has a file or a device of its own; write meta-disk internal "
        "or meta-disk FILE");
    return;
  }
  const Word* word = one_value(statement, complaints);
  if (!word) return;
  if (statement.keyword() == "disk") {
    if (word->text == "none") {
      complaints.error(word->at, "disk none is not built yet: a node without a disk can vote as a witness");
      return;
    }
    set_once(volume.disk, *word, "disk", complaints);
  } else {
    set_once(volume.meta_disk, *word, "meta-disk", complaints);
  }
}

void read_option(Section section, const Statement& statement, Scope& scope, Complaints& complaints) {
  const OptionSpec* spec = find_option(section, statement.keyword());
  if (!spec) {
    unknown_word(statement, fmt::format("{} {{ }}", name_of(section)), option_names(section), complaints);
    return;
  }
  if (statement.has_block) {
    complaints.error(statement.at(), fmt::format("{} is an option, not a section", spec->name));
    return;
  }
  const bool usable = spec->built == Built::yes || spec->built == Built::parsed;
  Word yes{"yes", statement.at()};  // DRBD lets a switch stand alone
  const Word* value = &yes;
  if (statement.words.size() > 1 || (usable && !is_switch(*spec))) {
    value = usable ? one_value(statement, complaints) : &statement.words.front();
    if (!value) return;
  }
  if (const std::string wrong = complaint(*spec, value->text); !wrong.empty()) {
    const bool misspelt = usable && spec->kind == Kind::choice;
    const Location& at = usable ? value->at : statement.at();
    complaints.error(at, wrong, misspelt ? nearest_word(value->text, split_choices(spec->choices)) : "");
    return;
  }
  if (spec->built == Built::parsed && value->text != spec->initial) {
    complaints.warning(statement.at(), fmt::format("{} has no effect yet: {}", spec->name, spec->meaning));
  }
  const auto [at, fresh] = scope.values.emplace(spec, Placed<std::string>{value->text, statement.at()});
  if (!fresh) {
    complaints.error(statement.at(), fmt::format("{} is given twice; first in {} line {}", spec->name, at->second.at.line->file,
                                                 at->second.at.line->number));
  }
}

}  // namespace

void unknown_word(const Statement& statement, std::string_view place, std::vector<std::string_view> known,
                  Complaints& complaints) {
  const std::string& word = statement.keyword();
  for (const RefusedWord& refused : kRefused) {
    if (refused.word == word) {
      complaints.error(statement.at(), fmt::format("{} {}", word, refused.reason));
      return;
    }
  }
  const OptionSpec* elsewhere = find_elsewhere(word);
  if (elsewhere && !statement.has_block) {
    const std::string wrong = elsewhere->built == Built::yes || elsewhere->built == Built::parsed
                                  ? fmt::format("{} belongs into {} {{ }}, not into {}", word, name_of(elsewhere->section), place)
                                  : complaint(*elsewhere, "");
    complaints.error(statement.at(), wrong);
    return;
  }
  complaints.error(statement.at(), fmt::format("unknown word \"{}\" in {}", word, place), nearest_word(word, known));
}

const Word* one_value(const Statement& statement, Complaints& complaints) {
  if (statement.has_block) {
    complaints.error(statement.at(), fmt::format("{} takes a value and a \";\", not a section", statement.keyword()));
    return nullptr;
  }
  if (statement.words.size() < 2) {
    complaints.error(statement.at(), fmt::format("{} needs a value", statement.keyword()));
    return nullptr;
  }
  if (statement.words.size() > 2) {
    too_many(statement, 2, complaints);
    return nullptr;
  }
  return &statement.words[1];
}

const Word* section_name(const Statement& statement, Complaints& complaints) {
  if (statement.words.size() > 2) {
    too_many(statement, 2, complaints);
    return nullptr;
  }
  if (statement.words.size() < 2) {
    complaints.error(statement.at(), fmt::format("{} needs a name", statement.keyword()));
    return nullptr;
  }
  const Word& name = statement.words[1];
  if (!statement.has_block) {
    complaints.error(statement.at(), fmt::format("{} {} needs a section in braces", statement.keyword(), name.text));
    return nullptr;
  }
  if (!is_name(name.text)) {
    complaints.error(name.at, fmt::format("\"{}\" is not a name: letters, digits, \".\", \"_\" and \"-\"", name.text));
    return nullptr;
  }
  return &name;
}

bool plain_section(const Statement& statement, Complaints& complaints) {
  if (!statement.has_block) {
    complaints.error(statement.at(), fmt::format("{} needs a section in braces", statement.keyword()));
    return false;
  }
  if (statement.words.size() > 1) {
    too_many(statement, 1, complaints);
    return false;
  }
  return true;
}

std::optional<Placed<Endpoint>> read_address(const Statement& statement, Complaints& complaints) {
  Statement plain = statement;
  const bool family = plain.words.size() == 3 && (plain.words[1].text == "ipv4" || plain.words[1].text == "ipv6");
  if (family) plain.words.erase(plain.words.begin() + 1);
  const Word* word = one_value(plain, complaints);
  if (!word) return std::nullopt;
  const std::optional<Endpoint> endpoint = parse_endpoint(word->text, false);
  if (!endpoint) {
    complaints.error(word->at, fmt::format("\"{}\" is not an address: 10.1.1.31:7800, [::1]:7800 or name:7800", word->text));
    return std::nullopt;
  }
  return Placed<Endpoint>{*endpoint, word->at};
}

std::optional<Placed<Endpoint>> read_metrics(const Statement& statement, Complaints& complaints) {
  const Word* word = one_value(statement, complaints);
  if (!word) return std::nullopt;
  const std::optional<Endpoint> endpoint = parse_endpoint(word->text, true);
  if (!endpoint) {
    complaints.error(word->at, fmt::format("\"{}\" is not an address to listen on: 127.0.0.1:9946", word->text));
    return std::nullopt;
  }
  complaints.warning(word->at, "metrics has no effect yet: nothing listens there");
  return Placed<Endpoint>{*endpoint, word->at};
}

void read_options(Section section, const Statement& statement, Scope& scope, Complaints& complaints) {
  if (!plain_section(statement, complaints)) return;
  for (const Statement& inner : statement.block) read_option(section, inner, scope, complaints);
}

bool read_option_section(const Statement& statement, Scope& scope, Complaints& complaints) {
  for (size_t i = 0; i < std::size(kSectionNames); ++i) {
    if (statement.keyword() != kSectionNames[i]) continue;
    read_options(static_cast<Section>(i), statement, scope, complaints);
    return true;
  }
  return false;
}

bool read_bare_volume(const Statement& statement, std::map<uint16_t, VolumeDraft>& volumes, Complaints& complaints) {
  const bool disk = statement.keyword() == "disk" && !statement.has_block;
  if (!disk && statement.keyword() != "meta-disk") return false;
  VolumeDraft& volume = volumes[0];
  if (!volume.at.line) volume.at = statement.at();
  read_disk_path(statement, volume, complaints);
  return true;
}

void read_volume(const Statement& statement, std::map<uint16_t, VolumeDraft>& volumes, Complaints& complaints) {
  const Word* name = section_name(statement, complaints);
  if (!name) return;
  constexpr int64_t kHighest = 65534;
  const std::optional<int64_t> number = parse_number(name->text);
  if (!number || *number < 0 || *number > kHighest) {
    complaints.error(name->at, fmt::format("a volume has a number from 0 to {}, not \"{}\"", kHighest, name->text));
    return;
  }
  const auto [at, fresh] = volumes.try_emplace(static_cast<uint16_t>(*number));
  VolumeDraft& volume = at->second;
  if (!fresh) {
    complaints.error(name->at, fmt::format("volume {} is given twice; first in line {}", *number, volume.at.line->number));
    return;
  }
  volume.at = name->at;
  for (const Statement& inner : statement.block) {
    if (inner.keyword() == "disk" && inner.has_block) {
      read_options(Section::disk, inner, volume.options, complaints);
    } else if (inner.keyword() == "disk" || inner.keyword() == "meta-disk") {
      read_disk_path(inner, volume, complaints);
    } else {
      unknown_word(inner, "volume", {"disk", "meta-disk"}, complaints);
    }
  }
}

}  // namespace lockstep::config
