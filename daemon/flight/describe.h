// One readable line for everything that goes into or comes out of a Replica: for traces and for test
// failures.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "core/effect.h"
#include "core/event.h"
#include "core/message.h"
#include "core/snapshot.h"
#include "core/tenure.h"

namespace lockstep {

std::string describe(const Uuid& id);  // its last six digits: enough to tell them apart
std::string describe(Seat seat);
std::string describe(SeatSet seats);
std::string describe(const Range& range);
std::string describe(const Tenure& tenure);
std::string describe(const Message& message);
std::string describe(const Event& event);
std::string describe(const Effect& effect);
std::string describe(const NodeRecord& record);
std::string_view name_of(OpKind kind);
std::string_view name_of(IoStatus status);
std::string_view name_of(Notice notice);
std::string_view name_of(AdminOp op);
std::string_view name_of(VoteRefusal why);

inline std::ostream& operator<<(std::ostream& out, const Message& message) { return out << describe(message); }
inline std::ostream& operator<<(std::ostream& out, const Event& event) { return out << describe(event); }
inline std::ostream& operator<<(std::ostream& out, const Effect& effect) { return out << describe(effect); }

}  // namespace lockstep
