// The two ends of the handshake of wire/hello.h as pure machines: frames in, at most one frame to send out.
// Neither keeps time: the connection's owner closes what takes too long.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wire/auth.h"
#include "wire/framer.h"
#include "wire/hello.h"

namespace lockstep {

// What a machine wants after a frame: send `reply` (whole frame, empty: nothing), then go on, or close.
struct HandshakeStep {
  enum class Outcome : uint8_t { going_on, done, failed };
  Outcome outcome = Outcome::going_on;
  std::vector<std::byte> reply;
  // When failed. `by_peer`: the other side refused us, and `refusal` is what it said; else we refuse it.
  Refusal refusal;
  bool by_peer = false;
};

enum class ResponderKind : uint8_t { data_node, witness };

class Initiator {
 public:
  // `hello` is complete, nonce and pairing token included. `keys` must outlive the machine. `instead`: what is said in the place of a
  // proof, by an end that only wants to tell why it does not come.
  Initiator(const Hello& hello, ResponderKind other, const LinkKeys& keys, std::optional<Refusal> instead = std::nullopt);
  // Before the first frame: what the proofs are to cover of the TLS connection beneath (Transcript::channel).
  void bind(std::vector<std::byte> channel) { transcript_.channel = std::move(channel); }
  std::vector<std::byte> first_frame() const;
  HandshakeStep step(const Frame& frame);
  const Negotiated& negotiated() const { return negotiated_; }

 private:
  HandshakeStep on_challenge(const Frame& frame);
  HandshakeStep on_welcome(const Frame& frame);
  Hello hello_;
  ResponderKind other_;
  const LinkKeys& keys_;
  std::optional<Refusal> instead_;
  Transcript transcript_;
  bool challenged_ = false;
  Negotiated negotiated_;
};

// Under TLS: whether the caller's certificate is for that name or address.
using CertifiedFor = std::function<bool(const std::string& name)>;

// Who may come in; answered by a data node's links and by the witness.
class Doorkeeper {
 public:
  virtual ~Doorkeeper() = default;
  // After Hello. A refusal, or nothing.
  virtual std::optional<Refusal> admit(const Hello& hello) = 0;
  // After admit(), where the caller has a certificate.
  virtual std::optional<Refusal> admit_certificate(const Hello&, const CertifiedFor&) { return std::nullopt; }
  // After Proof. A refusal, or nothing; then welcome() is what is answered.
  virtual std::optional<Refusal> check(const Hello& hello, const Transcript& transcript, const Proof& proof) = 0;
  virtual Welcome welcome(const Hello& hello, const Transcript& transcript) = 0;
};

class Responder {
 public:
  // `door` must outlive the machine.
  Responder(Doorkeeper& door, const Nonce& nonce, VersionRange versions = {}, uint64_t features = kFeatures);
  void bind(std::vector<std::byte> channel, CertifiedFor certified);  // as Initiator's; `certified` may be empty
  HandshakeStep step(const Frame& frame);
  const Hello& hello() const { return hello_; }  // valid once the first step succeeded
  const Negotiated& negotiated() const { return negotiated_; }

 private:
  HandshakeStep on_hello(const Frame& frame);
  HandshakeStep on_proof(const Frame& frame);
  Doorkeeper& door_;
  Nonce nonce_;
  VersionRange versions_;
  uint64_t features_;
  CertifiedFor certified_;
  bool greeted_ = false;
  Hello hello_;
  Transcript transcript_;
  Negotiated negotiated_;
};

}  // namespace lockstep
