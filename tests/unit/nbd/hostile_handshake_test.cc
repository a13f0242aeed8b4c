// Negotiation with clients that mean no good, or are broken: the known bugs of other servers (CVE numbers
// where there are).
#include "harness.h"

namespace lockstep::nbd {
namespace {

Bytes option_claiming(Option code, uint32_t length) {
  return Message().be(kMagicOption).be(static_cast<uint32_t>(code)).be(length);
}

TEST(HostileHandshake, UnknownClientFlagsClose) {
  for (int bit = 2; bit < 32; ++bit) {
    Connection connection;
    connection.greet(kFlagFixedNewstyle | (uint32_t{1} << bit));
    EXPECT_TRUE(connection.session->finished()) << bit;
  }
}

TEST(HostileHandshake, JunkClosesAtItsFirstEightBytes) {
  Connection connection;
  connection.greet();
  connection.send(Message().text("GET / HT"));
  EXPECT_TRUE(connection.session->finished());
  EXPECT_EQ(connection.directory.calls, 0);
}

// CVE-2022-26495: length + 1 overflowed.
TEST(HostileHandshake, NameLengthOfFourGigabytes) {
  for (uint32_t length : {0xffffffffu, 0xfffffffau, 0x80000000u, 0x7fffffffu, 5u}) {
    for (Option code : {Option::info, Option::go, Option::list_meta_context, Option::set_meta_context}) {
      Connection connection;
      connection.greet();
      connection.ask(option(Option::structured_reply));
      const Bytes data = Message().be(length).text("disk");
      EXPECT_EQ(connection.ask(option(code, data)).type, OptionReply::err_invalid) << length;
      EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
    }
  }
}

// CVE-2022-26496, CVE-2017-15118: names longer than a buffer on the stack.
TEST(HostileHandshake, LongNames) {
  for (size_t length : {255u, 256u, 257u, 4095u, 4096u}) {
    Connection connection;
    connection.greet();
    const std::string name(length, 'n');
    for (Option code : {Option::info, Option::go}) {
      const OptionAnswer answer = connection.ask(option(code, go_data(name)));
      EXPECT_EQ(answer.type, OptionReply::err_unknown) << length;
      EXPECT_LE(answer.data.size(), kMaxString);  // CVE-2020-10761: the name is in the text
    }
    connection.ask(option(Option::structured_reply));
    const OptionAnswer answer = connection.ask(option(Option::set_meta_context, meta_data(name, {name})));
    EXPECT_EQ(answer.type, OptionReply::err_unknown) << length;
    EXPECT_LE(answer.data.size(), kMaxString);
    connection.send(option(Option::export_name, Message().text(name)));
    EXPECT_TRUE(connection.session->finished());
  }
}

TEST(HostileHandshake, TooLongNames) {
  for (size_t length : {4097u, 16384u}) {
    Connection connection;
    connection.greet();
    EXPECT_EQ(connection.ask(option(Option::go, go_data(std::string(length, 'n')))).type, OptionReply::err_invalid);
    connection.send(option(Option::export_name, Message().text(std::string(length, 'n'))));
    EXPECT_TRUE(connection.session->finished());
  }
  for (Option code : {Option::go, Option::export_name}) {
    Connection connection;
    connection.greet();
    connection.send(option(code, go_data(std::string(65536, 'n'))));
    connection.receive();
    EXPECT_TRUE(connection.session->finished());
  }
}

TEST(HostileHandshake, LongestNameWorks) {
  Connection connection;
  const std::string name(4096, 'n');
  connection.directory.add(name, 4096);
  connection.greet();
  EXPECT_EQ(connection.ask(option(Option::go, go_data(name, {1}))).type, OptionReply::ack);
}

TEST(HostileHandshake, NameWithNul) {
  Connection connection;
  connection.greet();
  EXPECT_EQ(connection.ask(option(Option::go, go_data(std::string_view("di\0sk", 5)))).type, OptionReply::err_invalid);
}

// CVE-2017-15119: an option that claims 4 GiB is refused at once, not read.
TEST(HostileHandshake, HugeOptionIsRefusedBeforeItArrives) {
  for (Option code : {Option::list, Option::go, Option::abort, Option{99}}) {
    for (uint32_t length : {0xffffffffu, 0x80000000u, static_cast<uint32_t>(kMaxOptionBytes + 1)}) {
      Connection connection;
      connection.greet();
      EXPECT_EQ(connection.ask(option_claiming(code, length)).type, OptionReply::err_too_big);
      EXPECT_TRUE(connection.session->finished());
    }
  }
  Connection connection;
  connection.greet();
  connection.send(option_claiming(Option::export_name, 0xffffffff));
  EXPECT_FALSE(connection.session->has_output());
  EXPECT_TRUE(connection.session->finished());
}

TEST(HostileHandshake, LongestOptionIsTaken) {
  Connection connection;
  connection.greet();
  EXPECT_EQ(connection.ask(option(99, Bytes(kMaxOptionBytes))).type, OptionReply::err_unsup);
  EXPECT_EQ(connection.ask(option(Option::list)).type, OptionReply::ack);
}

// nbd-server waits for bytes beyond the option.
TEST(HostileHandshake, InfoCountBeyondTheOption) {
  for (uint16_t count : std::initializer_list<uint16_t>{1, 3, 65535}) {
    Connection connection;
    connection.greet();
    const Bytes data = Message().be<uint32_t>(4).text("disk").be(count).be<uint8_t>(0);
    EXPECT_EQ(connection.ask(option(Option::go, data)).type, OptionReply::err_invalid);
    EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
  }
}

TEST(HostileHandshake, BytesLeftOverInAnOption) {
  Connection connection;
  connection.greet();
  connection.ask(option(Option::structured_reply));
  EXPECT_EQ(connection.ask(option(Option::go, Message().raw(go_data("disk")).be<uint8_t>(0))).type, OptionReply::err_invalid);
  EXPECT_EQ(connection.ask(option(Option::set_meta_context, Message().raw(meta_data("disk", {})).be<uint8_t>(0))).type,
            OptionReply::err_invalid);
  EXPECT_EQ(connection.ask(option(Option::set_meta_context, Message().be<uint32_t>(0).be<uint32_t>(0xffffffff))).type,
            OptionReply::err_invalid);
}

// Every prefix of a well-formed option, as a whole option.
TEST(HostileHandshake, TruncatedOptions) {
  const Bytes go = go_data("disk", {1, 2, 3});
  const Bytes meta = meta_data("disk", {"base:", "base:allocation"});
  for (size_t length = 0; length < std::max(go.size(), meta.size()); ++length) {
    Connection connection;
    connection.greet();
    connection.ask(option(Option::structured_reply));
    const auto cut = [length](const Bytes& all) {
      return Bytes(all.begin(), all.begin() + static_cast<ptrdiff_t>(std::min(length, all.size() - 1)));
    };
    EXPECT_EQ(connection.ask(option(Option::go, cut(go))).type, OptionReply::err_invalid) << length;
    EXPECT_EQ(connection.ask(option(Option::set_meta_context, cut(meta))).type, OptionReply::err_invalid) << length;
  }
}

TEST(HostileHandshake, OptionFloodIsCapped) {
  Connection connection;
  connection.greet();
  size_t answered = 0;
  while (!connection.session->finished() && answered < 10 * kMaxOptions) {
    connection.send(option(Option::list));
    if (connection.session->has_output()) ++answered;
    connection.receive();
  }
  EXPECT_EQ(answered, kMaxOptions);
}

// A client that sends and does not read: what waits for it stays bounded.
TEST(HostileHandshake, FloodWithoutReading) {
  Connection connection;
  for (int i = 0; i < 1000; ++i) connection.directory.add("export-" + std::to_string(i), 4096);
  connection.greet();
  Bytes flood;
  for (int i = 0; i < 200; ++i) flood = Message().raw(flood).raw(option(Option::list));
  connection.send(flood);
  EXPECT_LE(connection.directory.calls, 4);
  EXPECT_TRUE(connection.session->recv_target().empty());
  connection.receive();
  EXPECT_EQ(connection.directory.calls, 200);
}

// CVE-2017-9524, CVE-2017-7539: hang-up and junk at every byte of a valid handshake.
const Bytes kValid = Message()
                         .raw(client_flags())
                         .raw(option(Option::extended_headers))
                         .raw(option(Option::structured_reply))
                         .raw(option(Option::list))
                         .raw(option(Option::set_meta_context, meta_data("disk", {"base:allocation"})))
                         .raw(option(Option::info, go_data("disk", {3})))
                         .raw(option(Option::go, go_data("disk", {3})));

Bytes prefix_of_valid(size_t length) { return Bytes(kValid.begin(), kValid.begin() + static_cast<ptrdiff_t>(length)); }

TEST(HostileHandshake, HangUpAtEveryByte) {
  for (size_t length = 0; length <= kValid.size(); ++length) {
    Connection connection;
    connection.send(prefix_of_valid(length));
    connection.session->peer_closed();
    EXPECT_TRUE(connection.session->recv_target().empty());
    connection.receive();
    EXPECT_TRUE(connection.session->finished()) << length;

    Connection lost;
    lost.send(prefix_of_valid(length));
    lost.session->abandon();
    EXPECT_TRUE(lost.session->finished()) << length;

    Connection stopped;
    stopped.send(prefix_of_valid(length));
    stopped.session->shutdown();
    stopped.receive();
    EXPECT_TRUE(stopped.session->finished()) << length;
  }
}

TEST(HostileHandshake, JunkAtEveryByte) {
  for (size_t length = 0; length <= kValid.size(); ++length) {
    for (unsigned char junk : std::initializer_list<unsigned char>{0x00, 0xff, 'I'}) {
      Connection connection;
      connection.send(Message().raw(prefix_of_valid(length)).fill(70000, junk));
      connection.receive();
      EXPECT_TRUE(connection.session->finished()) << length;
    }
  }
}

TEST(HostileHandshake, SplitAtEveryByteGivesTheSame) {
  Connection whole;
  whole.send(kValid);
  const Bytes expected = whole.receive();
  EXPECT_FALSE(whole.session->negotiating());
  for (size_t piece = 1; piece < kValid.size(); ++piece) {
    Connection connection;
    EXPECT_EQ(connection.send(kValid, piece), kValid.size());
    EXPECT_EQ(connection.receive(piece), expected) << piece;
    EXPECT_FALSE(connection.session->negotiating());
  }
}

// CVE-2019-14850: no work behind half-open clients. CVE-2019-14851: any order.
TEST(HostileHandshake, HalfOpenClientsCostNothingBehind) {
  Connection connection;
  connection.greet();
  connection.send(prefix_of_valid(kValid.size() - 1));
  EXPECT_EQ(connection.directory.opens, 0);
  EXPECT_TRUE(connection.sink.opened_tags.empty());
}

TEST(HostileHandshake, EveryOrderOfOptions) {
  std::vector<Bytes> options = {option(Option::info, go_data("disk")), option(Option::list),
                                option(Option::set_meta_context, meta_data("disk", {"base:allocation"})),
                                option(Option::structured_reply), option(Option::starttls)};
  std::sort(options.begin(), options.end());
  do {
    Connection connection;
    connection.greet();
    for (int round = 0; round < 2; ++round) {
      for (const Bytes& each : options) connection.ask(each);
    }
    EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
    EXPECT_FALSE(connection.session->negotiating());
  } while (std::next_permutation(options.begin(), options.end()));
}

TEST(HostileHandshake, RequestsInsteadOfOptionsClose) {
  Connection connection;
  connection.greet();
  connection.ask(option(Option::info, go_data("disk")));
  connection.send(request(Command::read, 1, 0, 512));
  EXPECT_TRUE(connection.session->finished());
  EXPECT_TRUE(connection.sink.requests.empty());
}

TEST(HostileHandshake, ErrorTextsAreCutBetweenCharacters) {
  Connection connection;
  connection.greet();
  std::string text(4095, 'x');
  text += "\xc3\xa9 and more";  // the character would straddle the limit
  connection.directory.refusal = Refusal{Refusal::Kind::policy, text};
  EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).text(), std::string(4095, 'x'));
}

TEST(HostileHandshake, QueryLengthOfFourGigabytes) {
  for (uint32_t length : {0xffffffffu, 0xfffffffau, 0x80000000u, 4097u, 16u}) {
    for (Option code : {Option::list_meta_context, Option::set_meta_context}) {
      Connection connection;
      connection.greet();
      connection.ask(option(Option::structured_reply));
      connection.ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"})));
      const Bytes data = Message().be<uint32_t>(4).text("disk").be<uint32_t>(1).be(length).text("base:allocation");
      EXPECT_EQ(connection.ask(option(code, data)).type, OptionReply::err_invalid) << length;
      EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
      EXPECT_EQ(connection.session->negotiated().contexts.empty(), code == Option::set_meta_context)
          << "a SET that fails unselects";
    }
  }
}

// CVE-2019-14851 again, with what came later. After all of it a request of the agreed form is served.
TEST(HostileHandshake, AnyThreeOptionsInAnyOrder) {
  const std::vector<Bytes> options = {option(Option::info, go_data("disk")),
                                      option(Option::list),
                                      option(Option::starttls),
                                      option(Option::structured_reply),
                                      option(Option::extended_headers),
                                      option(Option::list_meta_context, meta_data("disk", {})),
                                      option(Option::set_meta_context, meta_data("disk", {"base:allocation"})),
                                      option(Option::go, go_data("nothing")),
                                      option(99, Bytes(5))};
  for (const Bytes& first : options) {
    for (const Bytes& second : options) {
      for (const Bytes& third : options) {
        Connection connection;
        connection.greet();
        for (const Bytes* each : {&first, &second, &third}) connection.ask(*each);
        EXPECT_TRUE(connection.sink.opened_tags.empty());
        EXPECT_EQ(connection.ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
        const bool extended = connection.session->negotiated().extended_headers;
        connection.send(extended ? extended_request(Command::read, 1, 0, 512) : request(Command::read, 1, 0, 512));
        EXPECT_EQ(connection.next().type, RequestType::read);
      }
    }
  }
}

TEST(HostileHandshake, NoKindOfOptionComesWithoutEnd) {
  for (const Bytes& each : std::vector<Bytes>{option(99), option(Option::starttls), option(Option::info, Bytes(3)),
                                              option(Option::go, go_data("nothing")), option(Option::set_meta_context),
                                              option(Option::extended_headers)}) {
    Connection connection;
    connection.greet();
    size_t answered = 0;
    while (!connection.session->finished() && answered < 10 * kMaxOptions) {
      connection.send(each);
      if (connection.session->has_output()) ++answered;
      connection.receive();
    }
    EXPECT_EQ(answered, kMaxOptions);
  }
}

}  // namespace
}  // namespace lockstep::nbd
