#include "wire/auth.h"

#include <sodium.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/endian.h"

namespace lockstep {

namespace {

const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// BLAKE2b-256 of `data`, keyed.
Digest keyed(std::span<const std::byte> key, std::span<const std::byte> data) {
  Digest digest;
  CHECK(crypto_generichash(raw(digest.data()), digest.size(), raw(data.data()), data.size(), raw(key.data()), key.size()) == 0);
  return digest;
}

// Lengths in front keep two different transcripts from having the same bytes.
std::vector<std::byte> signed_bytes(const char* role, const Transcript& transcript) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  const auto add = [&out](std::span<const std::byte> part) {
    out.put(static_cast<uint32_t>(part.size()));
    out.put_bytes(part);
  };
  add(bytes_of(role));
  add(transcript.hello);
  add(transcript.challenge);
  if (!transcript.channel.empty()) add(transcript.channel);
  return bytes;
}

constexpr char kInitiator[] = "lockstep link initiator v1";
constexpr char kResponder[] = "lockstep link responder v1";
constexpr char kToWitness[] = "lockstep to witness v1";

}  // namespace

LinkKeys::LinkKeys(std::span<const std::byte> secret, const ResourceId& resource) {
  CHECK(sodium_init() >= 0);
  // A secret of any length becomes a key of BLAKE2b's length first.
  Digest root;
  CHECK(crypto_generichash(raw(root.data()), root.size(), raw(secret.data()), secret.size(), nullptr, 0) == 0);

  std::vector<std::byte> label;
  ByteWriter out(label);
  out.put_bytes(bytes_of("lockstep link"));
  out.put(resource);
  link_key_ = keyed(root, label);

  label.clear();
  out.put_bytes(bytes_of("lockstep witness"));
  out.put(resource);
  Digest seed = keyed(root, label);
  CHECK(crypto_sign_seed_keypair(raw(verifier_.data()), raw(signing_key_.data()), raw(seed.data())) == 0);
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(root.data(), root.size());
}

LinkKeys::~LinkKeys() {
  sodium_memzero(link_key_.data(), link_key_.size());
  sodium_memzero(signing_key_.data(), signing_key_.size());
}

Digest LinkKeys::mac(const char* role, const Transcript& transcript) const {
  return keyed(link_key_, signed_bytes(role, transcript));
}

Proof LinkKeys::initiator_proof(const Transcript& transcript) const {
  Proof proof;
  proof.kind = ProofKind::shared_secret;
  const Digest digest = mac(kInitiator, transcript);
  std::memcpy(proof.proof.data(), digest.data(), digest.size());
  return proof;
}

Welcome LinkKeys::responder_proof(const Transcript& transcript) const { return {mac(kResponder, transcript)}; }

Proof LinkKeys::witness_proof(const Transcript& transcript) const {
  Proof proof;
  proof.kind = ProofKind::signature;
  proof.key = verifier_;
  const auto message = signed_bytes(kToWitness, transcript);
  CHECK(crypto_sign_detached(raw(proof.proof.data()), nullptr, raw(message.data()), message.size(), raw(signing_key_.data())) ==
        0);
  return proof;
}

bool LinkKeys::verify_initiator(const Transcript& transcript, const Proof& proof) const {
  if (proof.kind != ProofKind::shared_secret) return false;
  const Digest expected = mac(kInitiator, transcript);
  return sodium_memcmp(expected.data(), proof.proof.data(), expected.size()) == 0;
}

bool LinkKeys::verify_responder(const Transcript& transcript, const Welcome& welcome) const {
  const Digest expected = mac(kResponder, transcript);
  return sodium_memcmp(expected.data(), welcome.proof.data(), expected.size()) == 0;
}

bool verify_witness_proof(const Transcript& transcript, const Proof& proof) {
  if (proof.kind != ProofKind::signature) return false;
  const auto message = signed_bytes(kToWitness, transcript);
  return crypto_sign_verify_detached(raw(proof.proof.data()), raw(message.data()), message.size(), raw(proof.key.data())) == 0;
}

Nonce draw_nonce() {
  CHECK(sodium_init() >= 0);
  Nonce nonce;
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

Uuid draw_uuid() {
  CHECK(sodium_init() >= 0);
  Uuid id;
  randombytes_buf(id.bytes.data(), id.bytes.size());
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);  // version 4
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);  // variant of RFC 4122
  return id;
}

uint64_t draw_run_token() {
  CHECK(sodium_init() >= 0);
  uint64_t token = 0;
  randombytes_buf(&token, sizeof token);
  return token | 1;
}

}  // namespace lockstep
