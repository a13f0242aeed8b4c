// The core's notices in words, for the log.
#pragma once

#include <string>

#include "core/effect.h"
#include "core/volumes.h"
#include "shell/loop/log.h"
#include "shell/resource/settings.h"

namespace lockstep {

struct NoticeText {
  LogLevel level = LogLevel::info;
  std::string text;
  std::string_view reason;  // code, or empty
};
// `volumes`: of the adopted tenure; none are needed where there is one.
NoticeText describe(const Note& note, const ResourceSettings& settings, const VolumeShapes& volumes = {});
// An address of the resource (core/volumes.h) for a person: a number of bytes, and of which volume where there are several.
std::string place_text(const ResourceSettings& settings, const VolumeShapes& volumes, uint64_t address);

}  // namespace lockstep
