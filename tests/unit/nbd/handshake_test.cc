// Negotiation with well-meaning clients.
#include "harness.h"

namespace lockstep::nbd {
namespace {

TEST(Handshake, GreetsFirst) {
  Connection connection;
  Reader in(connection.receive());
  EXPECT_EQ(in.be<uint64_t>(), kMagicServer);
  EXPECT_EQ(in.be<uint64_t>(), kMagicOption);
  EXPECT_EQ(in.be<uint16_t>(), kFlagFixedNewstyle | kFlagNoZeroes);
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_TRUE(connection.session->negotiating());
}

TEST(Handshake, ExportNameReplyIs134BytesWithZeroes) {
  Connection connection;
  connection.greet(0);
  connection.send(option(Option::export_name, Message().text("disk")));
  Reader in(connection.receive());
  EXPECT_EQ(in.remaining(), 134u);
  EXPECT_EQ(in.be<uint64_t>(), uint64_t{1} << 20);
  EXPECT_EQ(in.be<uint16_t>(), kTransHasFlags | kTransSendFlush | kTransSendFua | kTransSendTrim | kTransSendWriteZeroes |
                                   kTransCanMultiConn | kTransSendCache | kTransSendFastZero);
  EXPECT_EQ(in.take(124), Bytes(124));
  EXPECT_FALSE(connection.session->negotiating());
  EXPECT_EQ(connection.sink.opened_tags, std::vector<uint64_t>{7});
}

TEST(Handshake, ExportNameReplyIs10BytesWithNoZeroes) {
  Connection connection;
  connection.greet();
  connection.send(option(Option::export_name, Message().text("disk")));
  EXPECT_EQ(connection.receive().size(), 10u);
}

TEST(Handshake, ExportNameOfNothingCloses) {
  Connection connection;
  connection.greet();
  connection.send(option(Option::export_name, Message().text("nothing")));
  EXPECT_TRUE(connection.session->finished());
}

TEST(Handshake, GoGivesExportAndBlockSizes) {
  Connection connection;
  connection.directory.exports["disk"].description = "the volume";
  connection.greet();
  connection.send(option(Option::go, go_data("disk", {1, 2, 3, 999})));
  Reader in(connection.receive());
  Reader info(read_option_answer(in).data);
  EXPECT_EQ(info.be<uint16_t>(), 0);
  EXPECT_EQ(info.be<uint64_t>(), uint64_t{1} << 20);
  EXPECT_EQ(info.be<uint16_t>() & kTransSendDf, 0);
  Reader sizes(read_option_answer(in).data);
  EXPECT_EQ(sizes.be<uint16_t>(), 3);
  EXPECT_EQ(sizes.be<uint32_t>(), 512u);
  EXPECT_EQ(sizes.be<uint32_t>(), 4096u);
  EXPECT_EQ(sizes.be<uint32_t>(), 32u << 20);
  EXPECT_EQ(read_option_answer(in).text(), std::string("\0\1disk", 6));
  EXPECT_EQ(read_option_answer(in).text(), std::string("\0\2the volume", 12));
  EXPECT_EQ(read_option_answer(in).type, OptionReply::ack);
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_FALSE(connection.session->negotiating());
}

TEST(Handshake, ReadOnlyExportSaysSo) {
  ExportInfo info;
  info.read_only = true;
  info.rotational = true;
  EXPECT_EQ(transmission_flags(info, {.structured_replies = true}), kTransHasFlags | kTransReadOnly | kTransSendFlush |
                                                                        kTransSendFua | kTransRotational | kTransSendDf |
                                                                        kTransCanMultiConn | kTransSendCache);
}

TEST(Handshake, InfoAsksWithoutOpening) {
  Connection connection;
  connection.greet();
  EXPECT_EQ(connection.ask(option(Option::info, go_data("disk"))).type, OptionReply::ack);
  EXPECT_TRUE(connection.session->negotiating());
  EXPECT_EQ(connection.directory.opens, 0);
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
  EXPECT_EQ(connection.directory.opens, 1);
}

TEST(Handshake, EmptyNameMeansTheOnlyExport) {
  Connection connection;
  connection.greet();
  EXPECT_EQ(connection.ask(option(Option::info, go_data(""))).type, OptionReply::ack);
  connection.directory.add("other", 4096);
  EXPECT_EQ(connection.ask(option(Option::info, go_data(""))).type, OptionReply::err_unknown);
  connection.directory.exports.clear();
  EXPECT_EQ(connection.ask(option(Option::go, go_data(""))).type, OptionReply::err_unknown);
}

TEST(Handshake, RefusalsKeepTheirTextAndTheConnection) {
  Connection connection;
  connection.greet();
  connection.directory.refusal = Refusal{Refusal::Kind::policy, "not Primary: beta is"};
  const OptionAnswer policy = connection.ask(option(Option::go, go_data("disk")));
  EXPECT_EQ(policy.type, OptionReply::err_policy);
  EXPECT_EQ(policy.text(), "not Primary: beta is");
  connection.directory.refusal = Refusal{Refusal::Kind::shutting_down, "going down"};
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::err_shutdown);
  EXPECT_EQ(connection.ask(option(Option::info, go_data("nothing"))).type, OptionReply::err_unknown);
  connection.directory.refusal.reset();
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
}

TEST(Handshake, ListGivesEveryExport) {
  Connection connection;
  connection.directory.add("r1/0", 4096);
  connection.directory.exports["r1/0"].description = "second";
  connection.greet();
  connection.send(option(Option::list));
  Reader in(connection.receive());
  EXPECT_EQ(read_option_answer(in).text(), std::string("\0\0\0\4disk", 8));
  EXPECT_EQ(read_option_answer(in).text(), std::string("\0\0\0\4r1/0second", 14));
  EXPECT_EQ(read_option_answer(in).type, OptionReply::ack);
  EXPECT_EQ(connection.ask(option(Option::list, Bytes(1))).type, OptionReply::err_invalid);
}

TEST(Handshake, AbortIsAcknowledgedThenClosed) {
  Connection connection;
  connection.greet();
  connection.send(option(Option::abort));
  EXPECT_FALSE(connection.session->finished());
  EXPECT_TRUE(connection.session->recv_target().empty());
  Reader in(connection.receive());
  EXPECT_EQ(read_option_answer(in).type, OptionReply::ack);
  EXPECT_TRUE(connection.session->finished());
}

TEST(Handshake, UnsupportedOptionsAreRefusedAndGoOn) {
  Connection connection;
  connection.greet();
  for (uint32_t code : {0u, 4u, 5u, 12u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_EQ(connection.ask(option(code, Bytes(17))).type, OptionReply::err_unsup) << code;
  }
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
}

TEST(Handshake, MetaContextsAreListedAndSet) {
  Connection connection;
  connection.greet();
  const Bytes set = option(Option::set_meta_context, meta_data("disk", {"x:y", "base:allocation", "base:allocation"}));
  EXPECT_EQ(connection.ask(set).type, OptionReply::err_invalid) << "structured replies come first";
  connection.ask(option(Option::structured_reply));
  EXPECT_EQ(connection.ask(option(Option::structured_reply, Bytes(1))).type, OptionReply::err_invalid);

  for (const std::vector<std::string>& queries : std::vector<std::vector<std::string>>{{}, {"base:"}, {"base:allocation"}}) {
    connection.send(option(Option::list_meta_context, meta_data("disk", queries)));
    Reader in(connection.receive());
    EXPECT_EQ(read_option_answer(in).text().substr(4), "base:allocation");
    EXPECT_EQ(read_option_answer(in).type, OptionReply::ack);
  }
  EXPECT_EQ(connection.ask(option(Option::list_meta_context, meta_data("no", {}))).type, OptionReply::err_unknown);

  connection.send(set);
  Reader in(connection.receive());
  EXPECT_EQ(read_option_answer(in).text(), std::string("\0\0\0\1", 4) + "base:allocation");
  EXPECT_EQ(read_option_answer(in).type, OptionReply::ack);
  EXPECT_EQ(in.remaining(), 0u);
  connection.ask(option(Option::go, go_data("disk")));
  EXPECT_EQ(connection.session->negotiated().contexts, ContextSet::of(kBaseAllocationId));
  EXPECT_TRUE(connection.session->negotiated().structured_replies);
}

TEST(Handshake, MetaContextDoesNotOutliveItsExportOrALaterSet) {
  for (const std::string how : {"other export", "empty set", "failed set", "wildcard"}) {
    Connection connection;
    connection.directory.add("other", 4096);
    connection.greet();
    connection.ask(option(Option::structured_reply));
    connection.ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"})));
    if (how == "empty set") connection.ask(option(Option::set_meta_context, meta_data("disk", {})));
    if (how == "failed set") connection.ask(option(Option::set_meta_context, meta_data("no", {"base:allocation"})));
    if (how == "wildcard") connection.ask(option(Option::set_meta_context, meta_data("disk", {"base:"})));
    connection.ask(option(Option::go, go_data(how == "other export" ? "other" : "disk")));
    EXPECT_FALSE(connection.session->negotiating());
    EXPECT_TRUE(connection.session->negotiated().contexts.empty()) << how;
  }
}

TEST(Handshake, WaitsWhileTheDirectoryDoesNotKnow) {
  Connection connection;
  connection.greet();
  connection.directory.deferred = true;
  connection.send(option(Option::go, go_data("disk")));
  EXPECT_TRUE(connection.session->waits_for_directory());
  EXPECT_TRUE(connection.session->recv_target().empty());
  EXPECT_FALSE(connection.session->has_output());
  connection.session->resume();
  EXPECT_TRUE(connection.session->waits_for_directory());
  connection.directory.deferred = false;
  connection.session->resume();
  EXPECT_FALSE(connection.session->waits_for_directory());
  EXPECT_FALSE(connection.session->negotiating());
  EXPECT_FALSE(connection.session->recv_target().empty());
}

TEST(Handshake, ClientThatLeavesWhileTheDirectoryDoesNotKnow) {
  Connection connection;
  connection.greet();
  connection.directory.deferred = true;
  connection.send(option(Option::go, go_data("disk")));
  connection.session->peer_closed();
  EXPECT_TRUE(connection.session->finished());
  connection.session->resume();
  EXPECT_TRUE(connection.sink.opened_tags.empty());
}

TEST(Handshake, RequestsMayFollowTheGoInOnePacket) {
  Connection connection;
  connection.receive();
  connection.send(Message().raw(client_flags()).raw(option(Option::go, go_data("disk"))).raw(request(Command::flush, 42, 0, 0)));
  EXPECT_EQ(connection.next().type, RequestType::flush);
}

TEST(Handshake, LargeBlocksAreToldAndServed) {
  Connection connection;
  ExportInfo& disk = connection.directory.exports["disk"];
  disk.minimum_block = 65536;
  disk.size = (1 << 20) + 65535;
  connection.greet();
  connection.send(option(Option::go, go_data("disk")));
  Reader in(connection.receive());
  Reader info(read_option_answer(in).data);
  info.be<uint16_t>();
  EXPECT_EQ(info.be<uint64_t>(), uint64_t{1} << 20);
  Reader sizes(read_option_answer(in).data);
  sizes.be<uint16_t>();
  EXPECT_EQ(sizes.be<uint32_t>(), 65536u);
  EXPECT_EQ(sizes.be<uint32_t>(), 65536u) << "no less is preferred than is possible";
  EXPECT_EQ(connection.refused(request(Command::read, 1, 4096, 65536)).error, WireError::einval);
  EXPECT_EQ(connection.refused(request(Command::read, 1, 1 << 20, 65536)).error, WireError::einval);
}

}  // namespace
}  // namespace lockstep::nbd
