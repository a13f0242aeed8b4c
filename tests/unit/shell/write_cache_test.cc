#include "shell/loop/write_cache.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace lockstep {
namespace {

TEST(WriteCache, OnlyWriteThroughRulesALossOut) {
  EXPECT_FALSE(means_volatile("write through\n"));
  EXPECT_TRUE(means_volatile("write back\n"));
  EXPECT_TRUE(means_volatile(""));
}

TEST(WriteCache, AFileHasTheCacheOfItsFileSystem) {
  auto* file = std::tmpfile();
  OpenedDevice device;
  device.fd = fileno(file);
  EXPECT_TRUE(has_volatile_cache(device));
  std::fclose(file);
}

}  // namespace
}  // namespace lockstep
