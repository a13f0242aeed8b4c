// Proofs of the handshake. The secret itself never leaves its node.
//
// Between data nodes: BLAKE2b-256 keyed with a key derived from the secret, over a role label and the bodies
// of Hello and Challenge as they were sent. Both nonces are in there, so a proof cannot be replayed; the
// label differs by role, so a proof cannot be reflected; resource, seats, lane, versions and features are in
// there, so none can be changed on the way. To a witness: Ed25519 (RFC 8032) over the same bytes. The key
// pair is derived from the secret and the resource id, so the witness stores a public key (the verifier) from
// which the secret cannot be computed, and another resource's verifier tells nothing about this one. A guess
// at the secret can be tested by whoever has seen a proof or a verifier: a secret must be random, not a word.
// libsodium does the arithmetic. Frames after the handshake are not authenticated; that is TLS's business. Under TLS the proof covers
// the channel too: somebody in the middle who has a certificate, and hands proofs on between two channels of his, is found out.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/ids.h"
#include "wire/hello.h"

namespace lockstep {

using Digest = std::array<std::byte, 32>;
using Verifier = std::array<std::byte, 32>;  // an Ed25519 public key

// The bodies of Hello and Challenge, exactly as they travelled, and what is this TLS connection's own: the keying material of RFC 9266, the
// same at both ends and at no third one's. Empty: no TLS.
struct Transcript {
  std::vector<std::byte> hello;
  std::vector<std::byte> challenge;
  std::vector<std::byte> channel;
};

// What is derived from a resource's secret. Copies are wiped when destroyed; the secret is not kept.
class LinkKeys {
 public:
  LinkKeys(std::span<const std::byte> secret, const ResourceId& resource);
  ~LinkKeys();
  LinkKeys(const LinkKeys&) = default;
  LinkKeys& operator=(const LinkKeys&) = default;

  Proof initiator_proof(const Transcript& transcript) const;
  Welcome responder_proof(const Transcript& transcript) const;
  Proof witness_proof(const Transcript& transcript) const;

  bool verify_initiator(const Transcript& transcript, const Proof& proof) const;
  bool verify_responder(const Transcript& transcript, const Welcome& welcome) const;

  const Verifier& verifier() const { return verifier_; }

 private:
  Digest mac(const char* role, const Transcript& transcript) const;
  Digest link_key_{};
  Verifier verifier_{};
  std::array<std::byte, 64> signing_key_{};
};

// The witness's side: does `proof` show the private key of its own `key`? Whether that key is the resource's
// is the caller's question.
bool verify_witness_proof(const Transcript& transcript, const Proof& proof);

// Randomness of the operating system, for nonces and pairing tokens.
Nonce draw_nonce();
Uuid draw_uuid();
uint64_t draw_run_token();  // of a run of a voter (core/durable.h); never 0

}  // namespace lockstep
