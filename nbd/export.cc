#include "nbd/export.h"

namespace lockstep::nbd {

Lookup resolve(ExportDirectory& directory, std::string_view name, ExportDirectory::Purpose purpose) {
  if (!name.empty()) return directory.look_up(name, purpose);
  const std::vector<ExportListing> all = directory.list();
  if (all.size() == 1) return directory.look_up(all.front().name, purpose);
  return Refusal{Refusal::Kind::unknown, all.empty() ? "there is no export" : "several exports: name one of them"};
}

uint16_t transmission_flags(const ExportInfo& info, const Agreed& agreed) {
  // CAN_MULTI_CONN: one volume has one cache, so a flush on one connection covers what was answered on all.
  unsigned flags = kTransHasFlags | kTransSendFlush | kTransSendFua | kTransCanMultiConn | kTransSendCache;
  flags |= info.read_only ? unsigned{kTransReadOnly} : unsigned{kTransSendTrim} | kTransSendWriteZeroes | kTransSendFastZero;
  if (info.rotational) flags |= kTransRotational;
  if (agreed.structured_replies) flags |= kTransSendDf;
  if (agreed.extended_headers && agreed.contexts) flags |= kTransBlockStatusPayload;
  return static_cast<uint16_t>(flags);
}

}  // namespace lockstep::nbd
