#include "wire/handshake.h"

#include <gtest/gtest.h>

#include <cstring>

#include "samples.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::byte>;
using Outcome = HandshakeStep::Outcome;

Bytes secret(const char* text) {
  const auto* bytes = reinterpret_cast<const std::byte*>(text);
  return {bytes, bytes + std::strlen(text)};
}

Frame parse(const Bytes& bytes) {
  Framer framer(nullptr);
  std::memcpy(framer.space()[0].data(), bytes.data(), bytes.size());
  framer.received(bytes.size());
  auto frame = framer.next();
  EXPECT_TRUE(frame.has_value());
  return frame ? std::move(*frame) : Frame{};
}

struct Door final : Doorkeeper {
  explicit Door(LinkKeys door_keys) : keys(std::move(door_keys)) {}
  std::optional<Refusal> admit(const Hello& hello) override {
    if (hello.resource != sample_uuid(1)) return Refusal{RefusalCode::resource, "not mine"};
    return std::nullopt;
  }
  std::optional<Refusal> check(const Hello&, const Transcript& transcript, const Proof& proof) override {
    const bool good = witness ? verify_witness_proof(transcript, proof) && proof.key == keys.verifier()
                              : keys.verify_initiator(transcript, proof);
    if (!good) return Refusal{RefusalCode::secret, "proof"};
    return std::nullopt;
  }
  Welcome welcome(const Hello&, const Transcript& transcript) override {
    return witness ? Welcome{} : keys.responder_proof(transcript);
  }
  LinkKeys keys;
  bool witness = false;
};

Hello hello(VersionRange versions = {}) {
  Hello hello;
  hello.versions = versions;
  hello.resource = sample_uuid(1);
  hello.from = Seat{1};
  hello.to = Seat{0};
  hello.lane = Lane::data;
  hello.pairing = draw_uuid();
  hello.nonce = draw_nonce();
  return hello;
}

struct Ends {
  HandshakeStep initiator;
  HandshakeStep responder;
};

Ends run(Initiator& initiator, Responder& responder) {
  Ends ends;
  Bytes to_responder = initiator.first_frame();
  while (!to_responder.empty()) {
    ends.responder = responder.step(parse(to_responder));
    to_responder.clear();
    if (ends.responder.reply.empty()) break;
    ends.initiator = initiator.step(parse(ends.responder.reply));
    to_responder = ends.initiator.reply;
    if (ends.initiator.outcome == Outcome::failed) break;
  }
  return ends;
}

TEST(Handshake, BothEndsProveTheSecret) {
  const LinkKeys keys(secret("s3cret"), sample_uuid(1));
  Door door(keys);
  Initiator initiator(hello(), ResponderKind::data_node, keys);
  Responder responder(door, draw_nonce());
  const Ends ends = run(initiator, responder);
  EXPECT_EQ(ends.initiator.outcome, Outcome::done);
  EXPECT_EQ(ends.responder.outcome, Outcome::done);
  EXPECT_EQ(responder.hello().from, Seat{1});
  EXPECT_EQ(initiator.negotiated().version, kMaxProtocol);
}

TEST(Handshake, AWrongSecretIsRefusedAndSaid) {
  const LinkKeys mine(secret("right"), sample_uuid(1));
  Door door{LinkKeys(secret("wrong"), sample_uuid(1))};
  Initiator initiator(hello(), ResponderKind::data_node, mine);
  Responder responder(door, draw_nonce());
  const Ends ends = run(initiator, responder);
  EXPECT_EQ(ends.responder.outcome, Outcome::failed);
  EXPECT_EQ(ends.responder.refusal.code, RefusalCode::secret);
  EXPECT_FALSE(ends.responder.by_peer);
  EXPECT_EQ(ends.initiator.outcome, Outcome::failed);
  EXPECT_EQ(ends.initiator.refusal.code, RefusalCode::secret);
  EXPECT_TRUE(ends.initiator.by_peer);
}

TEST(Handshake, AResponderWithoutTheSecretIsNotBelieved) {
  const LinkKeys mine(secret("right"), sample_uuid(1));
  struct Gullible final : Doorkeeper {
    std::optional<Refusal> admit(const Hello&) override { return std::nullopt; }
    std::optional<Refusal> check(const Hello&, const Transcript&, const Proof& proof) override {
      seen = proof;
      return std::nullopt;
    }
    // The best that it can do: send back what it was sent.
    Welcome welcome(const Hello&, const Transcript&) override {
      Welcome welcome;
      std::memcpy(welcome.proof.data(), seen.proof.data(), welcome.proof.size());
      return welcome;
    }
    Proof seen;
  } door;
  Initiator initiator(hello(), ResponderKind::data_node, mine);
  Responder responder(door, draw_nonce());
  const Ends ends = run(initiator, responder);
  EXPECT_EQ(ends.initiator.outcome, Outcome::failed);
  EXPECT_EQ(ends.initiator.refusal.code, RefusalCode::secret);
}

TEST(Handshake, AProofIsGoodForItsOwnNoncesOnly) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  Door door(keys);
  Initiator initiator(hello(), ResponderKind::data_node, keys);
  Responder first(door, draw_nonce());
  const Bytes greeting = initiator.first_frame();
  const Bytes proof = initiator.step(parse(first.step(parse(greeting)).reply)).reply;
  Responder second(door, draw_nonce());  // the same hello and proof once more
  ASSERT_EQ(second.step(parse(greeting)).outcome, Outcome::going_on);
  EXPECT_EQ(second.step(parse(proof)).refusal.code, RefusalCode::secret);
  EXPECT_EQ(first.step(parse(proof)).outcome, Outcome::done);
}

TEST(Handshake, AnotherResourceIsRefused) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  Door door(keys);
  Hello other = hello();
  other.resource = sample_uuid(2);
  Initiator initiator(other, ResponderKind::data_node, keys);
  Responder responder(door, draw_nonce());
  EXPECT_EQ(run(initiator, responder).initiator.refusal.code, RefusalCode::resource);
}

TEST(Handshake, KeysOfAnotherResourceDoNotFit) {
  const LinkKeys a(secret("s"), sample_uuid(1));
  const LinkKeys b(secret("s"), sample_uuid(2));
  EXPECT_NE(a.verifier(), b.verifier());
  const Transcript transcript{encode(hello()), encode(Challenge{1, 0, draw_nonce()}), {}};
  EXPECT_TRUE(a.verify_initiator(transcript, a.initiator_proof(transcript)));
  EXPECT_FALSE(b.verify_initiator(transcript, a.initiator_proof(transcript)));
}

TEST(Handshake, VersionRangesMeetAtTheHighestCommonOne) {
  EXPECT_EQ(common_version({1, 3}, {2, 5}), 3);
  EXPECT_EQ(common_version({2, 2}, {1, 2}), 2);
  EXPECT_EQ(common_version({1, 1}, {2, 2}), std::nullopt);
  const LinkKeys keys(secret("s"), sample_uuid(1));
  Door door(keys);
  Initiator rolling(hello({1, 2}), ResponderKind::data_node, keys);
  Responder older(door, draw_nonce(), {1, 1});
  EXPECT_EQ(run(rolling, older).initiator.outcome, Outcome::done);
  EXPECT_EQ(rolling.negotiated().version, 1);
  Initiator future(hello({7, 9}), ResponderKind::data_node, keys);
  Responder responder(door, draw_nonce(), {1, 2});
  const Ends ends = run(future, responder);
  EXPECT_EQ(ends.initiator.refusal.code, RefusalCode::version);
  EXPECT_EQ(ends.initiator.refusal.text, "you speak protocol 7 to 9, I speak 1 to 2");
}

TEST(Handshake, UnknownFeaturesAreIgnored) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  Door door(keys);
  Hello rich = hello();
  rich.features = 0xff;
  Initiator initiator(rich, ResponderKind::data_node, keys);
  Responder responder(door, draw_nonce(), {}, 0x101);
  run(initiator, responder);
  EXPECT_EQ(initiator.negotiated().features, 1u);
  EXPECT_EQ(responder.negotiated().features, 1u);
}

TEST(Handshake, ALongerHelloOfALaterReleaseIsUnderstood) {
  Bytes body = encode(hello());
  body.push_back(std::byte{7});
  EXPECT_TRUE(decode_hello(body).has_value());
  constexpr size_t kBeforePaths = 18;  // session, path, flags
  for (size_t length = 0; length + 1 < body.size(); ++length) {
    const bool whole = length + 1 + kBeforePaths == body.size();
    EXPECT_EQ(decode_hello(std::span(body).first(length)).has_value(), whole) << length;
  }
}

TEST(Handshake, AHelloSaysWhichPathOfWhichLinkItIs) {
  Hello path = hello();
  path.session = sample_uuid(5);
  path.path = kMaxPaths - 1;
  path.joins = true;
  path.control_only = true;
  path.lane = Lane::control;
  EXPECT_EQ(decode_hello(encode(path)), path);
  path.lane = Lane::data;
  EXPECT_FALSE(decode_hello(encode(path))) << "there is no such lane on that path";
  path.lane = Lane::control;
  path.path = kMaxPaths;
  EXPECT_FALSE(decode_hello(encode(path)));
}

TEST(Handshake, AWitnessVerifiesWithoutTheSecret) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  Door door(keys);
  door.witness = true;
  Initiator initiator(hello(), ResponderKind::witness, keys);
  Responder responder(door, draw_nonce());
  EXPECT_EQ(run(initiator, responder).initiator.outcome, Outcome::done);

  const LinkKeys other(secret("t"), sample_uuid(1));
  Initiator impostor(hello(), ResponderKind::witness, other);
  Responder again(door, draw_nonce());
  EXPECT_EQ(run(impostor, again).initiator.refusal.code, RefusalCode::secret);
}

TEST(Handshake, ASignatureCoversTheWholeTranscript) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  Transcript transcript{encode(hello()), encode(Challenge{1, 0, draw_nonce()}), {}};
  const Proof proof = keys.witness_proof(transcript);
  EXPECT_TRUE(verify_witness_proof(transcript, proof));
  for (auto* part : {&transcript.hello, &transcript.challenge}) {
    for (auto& byte : *part) {
      byte ^= std::byte{1};
      EXPECT_FALSE(verify_witness_proof(transcript, proof));
      byte ^= std::byte{1};
    }
  }
}

// Somebody in the middle with a certificate of his own has two channels, and hands frames on from one to the other.
TEST(Handshake, AProofIsGoodForItsOwnChannelAlone) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  const Bytes here(32, std::byte{1});
  const Bytes there(32, std::byte{2});
  for (const bool witness : {false, true}) {
    Door door(keys);
    door.witness = witness;
    const auto meet = [&](const Bytes& ours, const Bytes& theirs) {
      Initiator initiator(hello(), witness ? ResponderKind::witness : ResponderKind::data_node, keys);
      Responder responder(door, draw_nonce());
      initiator.bind(ours);
      responder.bind(theirs, {});
      return run(initiator, responder);
    };
    EXPECT_EQ(meet(here, here).initiator.outcome, Outcome::done);
    EXPECT_EQ(meet(here, there).responder.refusal.code, RefusalCode::secret);
    EXPECT_EQ(meet(here, {}).responder.refusal.code, RefusalCode::secret);
    EXPECT_EQ(meet({}, there).responder.refusal.code, RefusalCode::secret);
  }
}

TEST(Handshake, AnInitiatorDoesNotBelieveWhatWasProvedOnAnotherChannel) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  const Transcript here{encode(hello()), {}, Bytes(32, std::byte{1})};
  Transcript there = here;
  there.channel.front() = std::byte{2};
  EXPECT_TRUE(keys.verify_responder(here, keys.responder_proof(here)));
  EXPECT_FALSE(keys.verify_responder(here, keys.responder_proof(there)));
}

TEST(Handshake, ACertificateForAnotherNodeIsRefusedAndSaid) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  struct Strict final : Doorkeeper {
    explicit Strict(const LinkKeys& door_keys) : keys(door_keys) {}
    std::optional<Refusal> admit(const Hello&) override { return std::nullopt; }
    std::optional<Refusal> admit_certificate(const Hello&, const CertifiedFor& certified) override {
      if (certified("beta")) return std::nullopt;
      return Refusal{RefusalCode::certificate, "yours is not for beta"};
    }
    std::optional<Refusal> check(const Hello&, const Transcript&, const Proof&) override { return std::nullopt; }
    Welcome welcome(const Hello&, const Transcript& transcript) override { return keys.responder_proof(transcript); }
    const LinkKeys& keys;
  } door(keys);
  const Bytes channel(32, std::byte{1});
  for (const std::string name : {"beta", "delta"}) {
    Initiator initiator(hello(), ResponderKind::data_node, keys);
    Responder responder(door, draw_nonce());
    initiator.bind(channel);
    responder.bind(channel, [&name](const std::string& wanted) { return wanted == name; });
    const Ends ends = run(initiator, responder);
    EXPECT_EQ(ends.initiator.outcome, name == "beta" ? Outcome::done : Outcome::failed);
    EXPECT_EQ(ends.initiator.refusal.text, name == "beta" ? "" : "yours is not for beta");
  }
}

TEST(Handshake, FramesOutOfTurnEndIt) {
  const LinkKeys keys(secret("s"), sample_uuid(1));
  Door door(keys);
  Responder responder(door, draw_nonce());
  Frame ping;
  EXPECT_EQ(responder.step(ping).outcome, Outcome::failed);
  Initiator initiator(hello(), ResponderKind::data_node, keys);
  Frame welcome;
  welcome.type = FrameType::welcome;
  welcome.body = encode(Welcome{});
  EXPECT_EQ(initiator.step(welcome).outcome, Outcome::failed);
}

TEST(Handshake, WhatAPeerSaysCannotForgeALogLine) {
  const auto refusal = decode_refusal(encode(Refusal{RefusalCode::busy, "a\nb\x1b[31m"}));
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->text, "a?b?[31m");
}

}  // namespace
}  // namespace lockstep
