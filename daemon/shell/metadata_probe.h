// What is on a device already: asked before create-md overwrites anything. libblkid knows file systems,
// partition tables, LVM, RAID, LUKS and swap; DRBD's and our own metadata are looked for at the places where
// they can be.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lockstep {

enum class FoundKind : uint8_t {
  filesystem,          // `bytes` tells how far it reaches, when known
  container,           // partition table, LVM, RAID, encryption, swap
  foreign_replicator,  // DRBD
  own_internal,        // Lockstep metadata at the end of the device
  own_external,        // Lockstep metadata at its start
};

struct Found {
  FoundKind kind = FoundKind::filesystem;
  std::string name;    // "ext4", "partition table (gpt)", "DRBD 9 metadata"
  uint64_t bytes = 0;  // 0: not known
};

// Opens the path read-only, without a claim. Errors: what the system said.
Result<std::vector<Found>> probe_device(const std::string& path);

}  // namespace lockstep
