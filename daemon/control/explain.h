// Texts that say why: refusals of commands, explain, show-gi. Pure functions of a ResourceStatus.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "control/control_protocol.h"
#include "control/status.h"

namespace lockstep {

// A refused command: DRBD's words first, then ours, and the exit status that belongs to it.
// What `primary --force` says when a new history has begun.
std::string new_history_text(std::string_view resource);

ControlReply refusal(const ResourceStatus& status, Reason reason);

enum class ExplainTopic : uint8_t { everything, promote, io, resync };
// "", "promote", "io", "resync"; nothing for another word.
std::optional<ExplainTopic> parse_topic(std::string_view word);
std::string explain_text(const ResourceStatus& status, ExplainTopic topic);

// Generations and identities in readable form: disk, history, tenure, members, voters, flags.
std::string show_gi_text(const ResourceStatus& status);

// "1 of 3 voters answers (alpha); 2 are needed. beta: no connection for 12 s; gamma (witness): no answer for
// 12 s."
std::string votes_text(const ResourceStatus& status);

}  // namespace lockstep
