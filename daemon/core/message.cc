#include "core/message.h"

#include <type_traits>

namespace lockstep {

namespace {

template <class T, class... Options>
constexpr bool is_one_of = (std::is_same_v<T, Options> || ...);

}  // namespace

Lane lane_of(const Message& message) {
  return std::visit(
      [](const auto& m) {
        using T = std::decay_t<decltype(m)>;
        return is_one_of<T, PeerHello, TenureDecided, WriteRequest, FlushRequest, ReadRequest, ReadReply, ResyncBegin, ResyncMap,
                         ResyncWrite, JoinPrepare, Settled, DropMe, DiskCondition, Differences, ResyncDeclined, DiskRemembered,
                         CompareRequest, ResyncPaused, FollowerWrite, FollowerFlush, Following>
                   ? Lane::data
                   : Lane::control;
      },
      message);
}

}  // namespace lockstep
