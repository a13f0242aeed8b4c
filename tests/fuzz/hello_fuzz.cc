// Both ends of the handshake, fed with arbitrary frames: no crash, no proof accepted that was not made with
// the secret.
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "wire/handshake.h"

using namespace lockstep;

namespace {

struct Door final : Doorkeeper {
  std::optional<Refusal> admit(const Hello&) override { return std::nullopt; }
  std::optional<Refusal> check(const Hello&, const Transcript& transcript, const Proof& proof) override {
    const bool good = keys.verify_initiator(transcript, proof);
    CHECK(!good);
    if (verify_witness_proof(transcript, proof)) CHECK(proof.key != keys.verifier());
    return Refusal{RefusalCode::secret, ""};
  }
  Welcome welcome(const Hello&, const Transcript&) override { return {}; }
  LinkKeys keys{std::vector<std::byte>(32, std::byte{9}), ResourceId{}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  static Door door;
  const bool respond = (data[0] & 1) != 0;
  Responder responder(door, Nonce{});
  Initiator initiator(Hello{}, (data[0] & 2) != 0 ? ResponderKind::witness : ResponderKind::data_node, door.keys);
  size_t at = 1;
  while (at + 2 <= size) {
    Frame frame;
    frame.type = static_cast<FrameType>(128 + data[at] % 8);
    const size_t length = std::min<size_t>(data[at + 1], size - at - 2);
    const auto* body = reinterpret_cast<const std::byte*>(data + at + 2);
    frame.body.assign(body, body + length);
    at += 2 + length;
    const auto step = respond ? responder.step(frame) : initiator.step(frame);
    if (step.outcome != HandshakeStep::Outcome::going_on) break;
  }
  return 0;
}
