// Places as a person is told of them.
#include "shell/resource/notices.h"

#include <gtest/gtest.h>

#include "core/durable.h"

namespace lockstep {
namespace {

ResourceSettings settings() {
  ResourceSettings settings;
  settings.name = "r0";
  settings.links.peers = {{{1}, "beta", {}}};
  return settings;
}

VolumeShapes two() {
  VolumeShapes volumes;
  volumes.push_back({0, 3 * kBlockBytes});
  volumes.push_back({7, 2 * kBlockBytes});
  return volumes;
}

TEST(Notices, APlaceIsOneOfAVolumeWhereThereAreSeveral) {
  const Note rot{Notice::rot_found, {1}, kExtentBytes + kBlockBytes};
  EXPECT_NE(describe(rot, settings()).text.find("a block at 4198400 does not hold"), std::string::npos);
  EXPECT_NE(describe(rot, settings(), two()).text.find("a block at 4096 of r0/7 does not hold"), std::string::npos);
  const Note failed{Notice::read_failed, {1}, 2 * kBlockBytes};
  EXPECT_NE(describe(failed, settings(), two()).text.find("a read at 8192 of r0/0 failed here: beta"), std::string::npos);
  EXPECT_EQ(place_text(settings(), two(), 4 * kBlockBytes), "a place in no volume");
}

}  // namespace
}  // namespace lockstep
