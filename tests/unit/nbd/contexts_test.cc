// Several metadata contexts: which of them are listed and selected, and what BLOCK_STATUS tells of each.
#include "harness.h"

namespace lockstep::nbd {
namespace {

class Contexts : public testing::Test {
 protected:
  Contexts() {
    connection_.directory.exports["disk"].contexts = {"own:first", "own:second"};
    connection_.directory.add("other", 4096);
    connection_.greet();
    connection_.ask(option(Option::structured_reply));
  }
  std::vector<std::string> replies(Option which, const std::vector<std::string>& queries, const std::string& name = "disk") {
    connection_.send(option(which, meta_data(name, queries)));
    Reader in(connection_.receive());
    std::vector<std::string> all;
    while (in.remaining() > 0) {
      const OptionAnswer answer = read_option_answer(in);
      if (answer.type == OptionReply::meta_context) all.push_back(answer.text().substr(4));
      EXPECT_EQ(answer.type == OptionReply::ack, in.remaining() == 0);
    }
    return all;
  }
  using Names = std::vector<std::string>;
  Connection connection_;
};

TEST_F(Contexts, AreListedByNamespaceByNameAndAll) {
  const Names all{"base:allocation", "own:first", "own:second"};
  EXPECT_EQ(replies(Option::list_meta_context, {}), all);
  EXPECT_EQ(replies(Option::list_meta_context, {"base:", "own:"}), all);
  EXPECT_EQ(replies(Option::list_meta_context, {"own:"}), (Names{"own:first", "own:second"}));
  EXPECT_EQ(replies(Option::list_meta_context, {"own:second", "own:second"}), Names{"own:second"});
  for (const char* none : {"", "own", "own:f", "OWN:first", ":", "other:"})
    EXPECT_EQ(replies(Option::list_meta_context, {none}), Names{});
  EXPECT_EQ(replies(Option::list_meta_context, {}, "other"), Names{"base:allocation"});
}

TEST_F(Contexts, OnlyNamesSelect) {
  EXPECT_EQ(replies(Option::set_meta_context, {}), Names{});
  EXPECT_EQ(replies(Option::set_meta_context, {"own:", "base:"}), Names{});
  EXPECT_EQ(replies(Option::set_meta_context, {"own:second", "nobody:knows", "own:second"}), Names{"own:second"});
}

TEST_F(Contexts, EachHasAChunkOfItsOwnAndTheLastEndsTheReply) {
  EXPECT_EQ(replies(Option::set_meta_context, {"own:second", "own:first", "base:allocation"}).size(), 3u);
  connection_.ask(option(Option::go, go_data("disk")));
  connection_.send(request(Command::block_status, 1, 0, 8192));
  const Request asked = connection_.next();
  EXPECT_EQ(asked.contexts.size(), 2u);
  EXPECT_TRUE(asked.contexts.has(own_context_id(0)) && asked.contexts.has(own_context_id(1)));
  connection_.session->complete_status(asked.slot,
                                       {{own_context_id(0), {{4096, 1}, {4096, 0}}}, {own_context_id(1), {{9999999, 7}}}});
  Reader in(connection_.receive());
  const auto chunk = [&in](bool last) {
    const Answer answer = read_answer(in, {}, last ? kChunkDone : uint16_t{0});
    EXPECT_EQ(answer.cookie, 1u);
    EXPECT_EQ(answer.chunk, Chunk::block_status);
    Reader payload(answer.data);
    std::vector<uint32_t> words;
    while (payload.remaining() > 0) words.push_back(payload.be<uint32_t>());
    return words;
  };
  EXPECT_EQ(chunk(false), (std::vector<uint32_t>{kBaseAllocationId, 8192, 0}));
  EXPECT_EQ(chunk(false), (std::vector<uint32_t>{own_context_id(0), 4096, 1, 4096, 0}));
  EXPECT_EQ(chunk(true), (std::vector<uint32_t>{own_context_id(1), 8192, 7}));
  EXPECT_EQ(in.remaining(), 0u);
}

// The whole answer fails: a client could take a part of it for all there is.
TEST_F(Contexts, WhatTheOwnerLeavesOutIsAnError) {
  replies(Option::set_meta_context, {"own:second", "own:first"});
  connection_.ask(option(Option::go, go_data("disk")));
  for (const std::vector<ContextStatus>& known : std::vector<std::vector<ContextStatus>>{
           {}, {{own_context_id(0), {{4096, 1}}}}, {{own_context_id(0), {{4096, 1}}}, {own_context_id(1), {{0, 1}}}}}) {
    connection_.send(request(Command::block_status, 1, 0, 8192));
    connection_.session->complete_status(connection_.next().slot, known);
    Reader in(connection_.receive());
    EXPECT_EQ(read_answer(in).error, WireError::eio);
    EXPECT_EQ(in.remaining(), 0u);
  }
}

TEST(ContextSet, HoldsSmallNumbersOnly) {
  ContextSet set;
  EXPECT_TRUE(set.empty());
  for (uint32_t id : {0u, 31u, 32u, UINT32_MAX}) set.add(id);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.has(31) && !set.has(32) && !set.has(UINT32_MAX) && !set.has(63));
  set.remove(31);
  set.remove(32);
  EXPECT_EQ(set, ContextSet::of(0));
}

}  // namespace
}  // namespace lockstep::nbd
