// The core's notices in words, for the log.
#pragma once

#include <string>

#include "core/effect.h"
#include "shell/loop/log.h"
#include "shell/resource/settings.h"

namespace lockstep {

struct NoticeText {
  LogLevel level = LogLevel::info;
  std::string text;
  std::string_view reason;  // code, or empty
};
NoticeText describe(const Note& note, const ResourceSettings& settings);

}  // namespace lockstep
