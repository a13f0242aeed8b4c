#include "core/snapshot.h"

#include "base/check.h"

namespace lockstep {

std::string_view to_text(Role role) {
  switch (role) {
    case Role::unknown:
      return "Unknown";
    case Role::primary:
      return "Primary";
    case Role::secondary:
      return "Secondary";
  }
  UNREACHABLE("role");
}

std::string_view to_text(DiskState state) {
  switch (state) {
    case DiskState::diskless:
      return "Diskless";
    case DiskState::failed:
      return "Failed";
    case DiskState::inconsistent:
      return "Inconsistent";
    case DiskState::outdated:
      return "Outdated";
    case DiskState::unknown:
      return "DUnknown";
    case DiskState::consistent:
      return "Consistent";
    case DiskState::up_to_date:
      return "UpToDate";
  }
  UNREACHABLE("disk state");
}

std::string_view to_text(ReplicationState state) {
  switch (state) {
    case ReplicationState::off:
      return "Off";
    case ReplicationState::established:
      return "Established";
    case ReplicationState::sync_source:
      return "SyncSource";
    case ReplicationState::sync_target:
      return "SyncTarget";
    case ReplicationState::paused_sync_source:
      return "PausedSyncS";
    case ReplicationState::paused_sync_target:
      return "PausedSyncT";
    case ReplicationState::verify_source:
      return "VerifyS";
    case ReplicationState::verify_target:
      return "VerifyT";
    case ReplicationState::ahead:
      return "Ahead";
    case ReplicationState::behind:
      return "Behind";
  }
  UNREACHABLE("replication state");
}

}  // namespace lockstep
