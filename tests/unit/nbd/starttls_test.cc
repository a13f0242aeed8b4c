// STARTTLS as the session sees it: what is answered before it, what is forgotten by it, and that nothing passes it in the clear.
#include "harness.h"

namespace lockstep::nbd {
namespace {

const Bytes kStartTls = option(Option::starttls);

// The client has had the ACK, and both sides may begin with TLS.
void start_tls(Connection& connection) {
  const OptionAnswer answer = connection.ask(kStartTls);
  EXPECT_EQ(answer.option, static_cast<uint32_t>(Option::starttls));
  EXPECT_EQ(answer.type, OptionReply::ack);
  EXPECT_TRUE(answer.data.empty());
  EXPECT_TRUE(connection.session->wants_tls());
}

void secure(Connection& connection) {
  start_tls(connection);
  connection.session->secured();
}

struct Asked {
  uint32_t code;
  Bytes data;
};
const std::vector<Asked> kOthers = {
    {static_cast<uint32_t>(Option::list), {}},
    {static_cast<uint32_t>(Option::list), Bytes(1)},
    {4, {}},  // PEEK_EXPORT, which is no more
    {static_cast<uint32_t>(Option::info), go_data("disk")},
    {static_cast<uint32_t>(Option::go), go_data("disk")},
    {static_cast<uint32_t>(Option::go), {}},
    {static_cast<uint32_t>(Option::structured_reply), {}},
    {static_cast<uint32_t>(Option::list_meta_context), meta_data("disk", {})},
    {static_cast<uint32_t>(Option::set_meta_context), meta_data("disk", {"base:allocation"})},
    {static_cast<uint32_t>(Option::extended_headers), {}},
    {99, {}},
    {0, {}},
    {0xffffffff, Bytes(300)},
};

TEST(StartTls, WhereThereIsNoneItIsUnsupported) {
  Connection connection;
  connection.greet();
  EXPECT_EQ(connection.ask(kStartTls).type, OptionReply::err_unsup);
  EXPECT_FALSE(connection.session->wants_tls());
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
}

TEST(StartTls, WhereItIsForcedNothingElseIsAnswered) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  for (const Asked& asked : kOthers) {
    const OptionAnswer answer = connection.ask(option(asked.code, asked.data));
    EXPECT_EQ(answer.option, asked.code);
    EXPECT_EQ(answer.type, OptionReply::err_tls_reqd) << asked.code;
    EXPECT_EQ(answer.text(), "this server speaks TLS only: begin with NBD_OPT_STARTTLS");
  }
  EXPECT_EQ(connection.directory.calls, 0) << "the directory was asked for somebody who has proved nothing";
  EXPECT_TRUE(connection.session->negotiating());
  EXPECT_FALSE(connection.session->wants_tls());
  secure(connection);
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
  EXPECT_FALSE(connection.session->negotiating());
}

TEST(StartTls, WhereItIsForcedTheOldWayInIsClosed) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  connection.send(option(Option::export_name, Message().text("disk")));
  EXPECT_TRUE(connection.receive().empty());
  EXPECT_TRUE(connection.session->finished());
  EXPECT_EQ(connection.directory.calls, 0);
}

TEST(StartTls, WhereItIsForcedAClientMayGiveUp) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  EXPECT_EQ(connection.ask(option(Option::abort)).type, OptionReply::ack);
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, TheOldWayInIsOpenUnderTls) {
  for (const TlsPolicy policy : {TlsPolicy::forced, TlsPolicy::selective}) {
    Connection connection(policy);
    connection.greet();
    secure(connection);
    connection.send(option(Option::export_name, Message().text("disk")));
    EXPECT_EQ(connection.receive().size(), 10u) << "the flags count, that were said before TLS: no zeroes";
    EXPECT_FALSE(connection.session->negotiating());
  }
}

TEST(StartTls, WhereItIsSelectiveBothWaysLeadIn) {
  Connection clear(TlsPolicy::selective);
  clear.open(true);
  EXPECT_EQ(clear.sink.opened_tags, std::vector<uint64_t>{7});
  Connection secret(TlsPolicy::selective);
  secret.greet();
  EXPECT_EQ(secret.ask(option(Option::info, go_data("disk"))).type, OptionReply::ack);
  secure(secret);
  EXPECT_TRUE(secret.sink.opened_tags.empty());
  EXPECT_EQ(secret.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
  EXPECT_EQ(secret.sink.opened_tags, std::vector<uint64_t>{7});
}

TEST(StartTls, TlsBeginsWhenTheAnswerIsGoneAndNoSooner) {
  Connection connection(TlsPolicy::selective);
  connection.greet();
  EXPECT_EQ(connection.send(kStartTls), kStartTls.size());
  constexpr size_t kAck = 20;
  for (size_t sent = 0; sent < kAck; ++sent) {
    EXPECT_TRUE(connection.session->has_output());
    EXPECT_FALSE(connection.session->wants_tls()) << "after " << sent << " bytes of the answer";
    EXPECT_TRUE(connection.session->recv_target().empty()) << "a byte in the clear would be taken for one of TLS, or the reverse";
    connection.session->consume(1);
  }
  EXPECT_FALSE(connection.session->has_output());
  EXPECT_TRUE(connection.session->wants_tls());
  EXPECT_TRUE(connection.session->recv_target().empty());
  EXPECT_TRUE(connection.session->negotiating()) << "its time must be bounded";
  EXPECT_TRUE(connection.session->takes_requests());
  EXPECT_EQ(connection.session->unjudged_bytes(), 0u);
  EXPECT_FALSE(connection.session->waits_for_memory());
  connection.session->resume();  // about memory, and is none of its business
  EXPECT_TRUE(connection.session->wants_tls());
  connection.session->secured();
  EXPECT_FALSE(connection.session->wants_tls());
  EXPECT_FALSE(connection.session->recv_target().empty());
}

// An answer to an option before it may still wait to be sent: that goes first, in the clear.
TEST(StartTls, WhatWasAnsweredBeforeLeavesBefore) {
  Connection connection(TlsPolicy::selective);
  connection.greet();
  connection.send(Message().raw(option(99)).raw(kStartTls));
  EXPECT_FALSE(connection.session->wants_tls());
  Reader in(connection.receive(7));
  EXPECT_EQ(read_option_answer(in).type, OptionReply::err_unsup);
  EXPECT_EQ(read_option_answer(in).type, OptionReply::ack);
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_TRUE(connection.session->wants_tls());
}

// Whoever is on the way may put bytes behind STARTTLS, and would be heard as the client under TLS. However they are cut, they never are: they
// end the session, or are not received in the clear.
TEST(StartTls, WhatIsGluedToItIsNeverHeardUnderTls) {
  const Bytes injected = option(Option::structured_reply);
  const Bytes all = Message().raw(kStartTls).raw(injected);
  for (size_t first = 0; first <= all.size(); ++first) {
    SCOPED_TRACE(first);
    Connection connection(TlsPolicy::selective);
    connection.greet();
    const Bytes head(all.begin(), all.begin() + static_cast<ptrdiff_t>(first));
    EXPECT_EQ(connection.send(head), head.size());
    const Bytes rest(all.begin() + static_cast<ptrdiff_t>(first), all.end());
    const size_t taken = connection.send(rest);
    if (first == kStartTls.size()) {
      EXPECT_EQ(taken, 0u);
      Reader in(connection.receive());
      EXPECT_EQ(read_option_answer(in).type, OptionReply::ack);
      EXPECT_TRUE(connection.session->wants_tls());
      EXPECT_EQ(connection.send(rest), 0u);
      connection.session->secured();
      EXPECT_EQ(connection.session->unjudged_bytes(), 0u);
      EXPECT_EQ(connection.ask(option(Option::set_meta_context, meta_data("disk", {}))).type, OptionReply::err_invalid);
    } else {
      connection.receive();
      EXPECT_FALSE(connection.session->wants_tls());
      EXPECT_TRUE(connection.session->finished());
      EXPECT_TRUE(connection.session->recv_target().empty());
    }
  }
}

TEST(StartTls, ASingleByteBehindItEndsTheSession) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  connection.send(Message().raw(kStartTls).fill(1, 0x16));
  connection.receive();
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, WhatWasAgreedInTheClearIsForgotten) {
  for (const Option agreed : {Option::structured_reply, Option::extended_headers}) {
    Connection connection(TlsPolicy::selective);
    connection.greet();
    EXPECT_EQ(connection.ask(option(agreed)).type, OptionReply::ack);
    EXPECT_EQ(connection.ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"}))).type, OptionReply::ack);
    secure(connection);
    EXPECT_EQ(connection.ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"}))).type,
              OptionReply::err_invalid)
        << "no structured replies any more";
    EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
    const Negotiated& is = connection.session->negotiated();
    EXPECT_FALSE(is.structured_replies);
    EXPECT_FALSE(is.extended_headers);
    EXPECT_TRUE(is.contexts.empty());
    EXPECT_TRUE(is.context_export.empty());
    EXPECT_TRUE(is.no_zeroes);
    connection.send(request(Command::read, 5, 0, 512));
    ASSERT_EQ(connection.sink.requests.size(), 1u);
    const Request read = connection.next();
    connection.session->complete(read.slot, 0, connection.data(512, 9));
    Reader in(connection.receive());
    EXPECT_FALSE(read_answer(in, {{5, 512}}).chunk.has_value());
  }
}

TEST(StartTls, WhatIsAgreedUnderTlsCounts) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  secure(connection);
  EXPECT_EQ(connection.ask(option(Option::structured_reply)).type, OptionReply::ack);
  EXPECT_EQ(connection.ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"}))).type, OptionReply::ack);
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
  EXPECT_TRUE(connection.session->negotiated().structured_replies);
  EXPECT_FALSE(connection.session->negotiated().contexts.empty());
}

TEST(StartTls, ThereIsNoTlsWithinTls) {
  Connection connection(TlsPolicy::selective);
  connection.greet();
  secure(connection);
  for (const Bytes& again : {kStartTls, option(Option::starttls, Bytes(1))}) {
    EXPECT_EQ(connection.ask(again).type, OptionReply::err_invalid);
    EXPECT_FALSE(connection.session->wants_tls());
  }
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
}

TEST(StartTls, ItTakesNoData) {
  for (const TlsPolicy policy : {TlsPolicy::forced, TlsPolicy::selective}) {
    Connection connection(policy);
    connection.greet();
    for (const size_t bytes : {1, 4096}) {
      EXPECT_EQ(connection.ask(option(Option::starttls, Bytes(bytes))).type, OptionReply::err_invalid);
      EXPECT_FALSE(connection.session->wants_tls());
    }
    start_tls(connection);
  }
}

TEST(StartTls, OptionsAreCountedAcrossIt) {
  Connection connection(TlsPolicy::selective);
  connection.greet();
  for (size_t i = 0; i < kMaxOptions - 2; ++i) EXPECT_EQ(connection.ask(option(99)).type, OptionReply::err_unsup);
  secure(connection);
  EXPECT_EQ(connection.ask(option(99)).type, OptionReply::err_unsup);
  connection.send(option(99));
  EXPECT_TRUE(connection.receive().empty());
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, TooManyOptionsInTheClearEndInNoTls) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  for (size_t i = 0; i < kMaxOptions; ++i) EXPECT_EQ(connection.ask(option(99)).type, OptionReply::err_tls_reqd);
  connection.send(kStartTls);
  EXPECT_TRUE(connection.receive().empty());
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, AnOptionThatIsTooLongIsRefusedAsEver) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  Bytes head = option(Option::starttls);
  put_be(head.data() + 12, static_cast<uint32_t>(kMaxOptionBytes + 1));
  connection.send(head);
  Reader in(connection.receive());
  EXPECT_EQ(read_option_answer(in).type, OptionReply::err_too_big);
  EXPECT_TRUE(connection.session->finished());
}

// --- the end while TLS is about to begin -----------------------------------------------------------------

TEST(StartTls, AClientMayHangUpInsteadOfIt) {
  Connection connection(TlsPolicy::selective);
  connection.greet();
  start_tls(connection);
  connection.session->peer_closed();
  EXPECT_FALSE(connection.session->wants_tls());
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, AClientMayHangUpBeforeItIsAnswered) {
  Connection connection(TlsPolicy::selective);
  connection.greet();
  connection.send(kStartTls);
  connection.session->peer_closed();
  EXPECT_FALSE(connection.session->finished()) << "it may still want to read the answer";
  EXPECT_EQ(connection.receive().size(), 20u);
  EXPECT_FALSE(connection.session->wants_tls()) << "nobody is there to begin it";
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, AShutdownIsNotKeptByIt) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  start_tls(connection);
  connection.session->shutdown();
  EXPECT_FALSE(connection.session->wants_tls());
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, ALostConnectionIsNotKeptByIt) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  connection.send(kStartTls);
  connection.session->abandon();
  EXPECT_FALSE(connection.session->has_output());
  EXPECT_FALSE(connection.session->wants_tls());
  EXPECT_TRUE(connection.session->finished());
}

TEST(StartTls, AClientMayHangUpUnderTls) {
  Connection connection(TlsPolicy::forced);
  connection.greet();
  secure(connection);
  connection.session->peer_closed();
  EXPECT_TRUE(connection.session->finished());
}

}  // namespace
}  // namespace lockstep::nbd
