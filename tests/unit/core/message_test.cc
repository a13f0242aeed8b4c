#include "core/message.h"

#include <gtest/gtest.h>

#include <set>

namespace lockstep {
namespace {

template <size_t... I>
std::vector<Message> one_of_each(std::index_sequence<I...>) {
  return {Message(std::in_place_index<I>)...};
}

template <class T>
size_t index_of() {
  return Message(T{}).index();
}

// Requests that move data, and whatever must not overtake them, share a lane; replies and the register have
// the other.
TEST(Message, EachHasItsLane) {
  const std::set<size_t> data = {index_of<PeerHello>(),      index_of<TenureDecided>(),  index_of<DiskCondition>(),
                                 index_of<WriteRequest>(),   index_of<FlushRequest>(),   index_of<ReadRequest>(),
                                 index_of<ReadReply>(),      index_of<Settled>(),        index_of<ResyncBegin>(),
                                 index_of<ResyncMap>(),      index_of<ResyncWrite>(),    index_of<JoinPrepare>(),
                                 index_of<DropMe>(),         index_of<Differences>(),    index_of<ResyncDeclined>(),
                                 index_of<DiskRemembered>(), index_of<CompareRequest>(), index_of<ResyncPaused>(),
                                 index_of<FollowerWrite>(),  index_of<FollowerFlush>(),  index_of<Following>()};
  for (const Message& message : one_of_each(std::make_index_sequence<std::variant_size_v<Message>>())) {
    EXPECT_EQ(lane_of(message), data.contains(message.index()) ? Lane::data : Lane::control) << message.index();
  }
}

}  // namespace
}  // namespace lockstep
