#include "wire/handshake.h"

#include <utility>

namespace lockstep {

namespace {

std::vector<std::byte> frame_of(FrameType type, const std::vector<std::byte>& body) {
  std::vector<std::byte> frame;
  append_frame(frame, type, body);
  return frame;
}

HandshakeStep go_on(std::vector<std::byte> reply) { return {HandshakeStep::Outcome::going_on, std::move(reply), {}, false}; }

HandshakeStep done(std::vector<std::byte> reply) { return {HandshakeStep::Outcome::done, std::move(reply), {}, false}; }

// We refuse, and tell the other side so.
HandshakeStep refuse(Refusal refusal) {
  auto reply = frame_of(FrameType::refusal, encode(refusal));
  return {HandshakeStep::Outcome::failed, std::move(reply), std::move(refusal), false};
}

HandshakeStep malformed(const char* what) { return refuse({RefusalCode::malformed, what}); }

// The other side refused us.
HandshakeStep refused(const Frame& frame) {
  auto refusal = decode_refusal(frame.body);
  if (!refusal) return malformed("malformed Refusal");
  return {HandshakeStep::Outcome::failed, {}, std::move(*refusal), true};
}

std::string range_text(const VersionRange& range) { return std::to_string(range.min) + " to " + std::to_string(range.max); }

}  // namespace

Initiator::Initiator(const Hello& hello, ResponderKind other, const LinkKeys& keys, std::optional<Refusal> instead)
    : hello_(hello), other_(other), keys_(keys), instead_(std::move(instead)) {
  transcript_.hello = encode(hello_);
}

std::vector<std::byte> Initiator::first_frame() const { return frame_of(FrameType::hello, transcript_.hello); }

HandshakeStep Initiator::step(const Frame& frame) {
  if (frame.type == FrameType::refusal) return refused(frame);
  if (!challenged_ && frame.type == FrameType::challenge) return on_challenge(frame);
  if (challenged_ && frame.type == FrameType::welcome) return on_welcome(frame);
  return malformed("unexpected frame in the handshake");
}

HandshakeStep Initiator::on_challenge(const Frame& frame) {
  const auto challenge = decode_challenge(frame.body);
  if (!challenge) return malformed("malformed Challenge");
  if (challenge->version < hello_.versions.min || challenge->version > hello_.versions.max) {
    return refuse({RefusalCode::version,
                   "you chose protocol " + std::to_string(challenge->version) + ", I speak " + range_text(hello_.versions)});
  }
  if ((challenge->features & ~hello_.features) != 0) return malformed("features that were not offered");
  if (instead_) return refuse(*instead_);
  challenged_ = true;
  negotiated_ = {challenge->version, challenge->features};
  transcript_.challenge = frame.body;
  const Proof proof = other_ == ResponderKind::witness ? keys_.witness_proof(transcript_) : keys_.initiator_proof(transcript_);
  return go_on(frame_of(FrameType::proof, encode(proof)));
}

HandshakeStep Initiator::on_welcome(const Frame& frame) {
  const auto welcome = decode_welcome(frame.body);
  if (!welcome) return malformed("malformed Welcome");
  if (other_ == ResponderKind::data_node && !keys_.verify_responder(transcript_, *welcome)) {
    return refuse({RefusalCode::secret, "your proof of the shared secret does not hold"});
  }
  return done({});
}

Responder::Responder(Doorkeeper& door, const Nonce& nonce, VersionRange versions, uint64_t features)
    : door_(door), nonce_(nonce), versions_(versions), features_(features) {}

void Responder::bind(std::vector<std::byte> channel, CertifiedFor certified) {
  transcript_.channel = std::move(channel);
  certified_ = std::move(certified);
}

HandshakeStep Responder::step(const Frame& frame) {
  if (frame.type == FrameType::refusal) return refused(frame);
  if (!greeted_ && frame.type == FrameType::hello) return on_hello(frame);
  if (greeted_ && frame.type == FrameType::proof) return on_proof(frame);
  return malformed("unexpected frame in the handshake");
}

HandshakeStep Responder::on_hello(const Frame& frame) {
  const auto hello = decode_hello(frame.body);
  if (!hello) return malformed("malformed Hello");
  hello_ = *hello;
  const auto version = common_version(hello_.versions, versions_);
  if (!version) {
    return refuse(
        {RefusalCode::version, "you speak protocol " + range_text(hello_.versions) + ", I speak " + range_text(versions_)});
  }
  if (auto refusal = door_.admit(hello_)) return refuse(std::move(*refusal));
  if (certified_) {
    if (auto refusal = door_.admit_certificate(hello_, certified_)) return refuse(std::move(*refusal));
  }
  greeted_ = true;
  negotiated_ = {*version, hello_.features & features_};
  transcript_.hello = frame.body;
  transcript_.challenge = encode(Challenge{negotiated_.version, negotiated_.features, nonce_});
  return go_on(frame_of(FrameType::challenge, transcript_.challenge));
}

HandshakeStep Responder::on_proof(const Frame& frame) {
  const auto proof = decode_proof(frame.body);
  if (!proof) return malformed("malformed Proof");
  if (auto refusal = door_.check(hello_, transcript_, *proof)) return refuse(std::move(*refusal));
  return done(frame_of(FrameType::welcome, encode(door_.welcome(hello_, transcript_))));
}

}  // namespace lockstep
