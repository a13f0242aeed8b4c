// What two ends say before the first message: who they are, which release they speak, and proof that they
// share a secret.
//
//   initiator                                       responder
//   Hello  identities, versions, lane, nonce  --->
//                                             <---  Challenge  version and features chosen, nonce      (or
//                                             Refusal)
//   Proof  over both bodies                   --->
//                                             <---  Welcome    proof over both bodies                  (or
//                                             Refusal)
//
// The daemon of a peer and lockstep-witness answer the same way; only the kind of proof differs
// (wire/auth.h). Release N talks to N-1: each side names the range of protocol versions that it speaks and
// the features that it knows; the highest common version and the common features are used. Bodies of these
// frames may grow at their end: a reader takes what it knows and leaves the rest, which the proof covers
// nevertheless.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/message.h"
#include "wire/frame.h"

namespace lockstep {

constexpr uint16_t kMinProtocol = 1;
constexpr uint16_t kMaxProtocol = 1;
constexpr uint64_t kFeaturePaths = 1;          // a link may go over several paths (wire/lane_numbers.h)
constexpr uint64_t kFeatures = kFeaturePaths;  // bits that this release knows
constexpr uint8_t kMaxPaths = 8;               // of a link

using Nonce = std::array<std::byte, 32>;

struct VersionRange {
  uint16_t min = kMinProtocol;
  uint16_t max = kMaxProtocol;
  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};
// What both ends of a connection agreed on.
struct Negotiated {
  uint16_t version = 0;
  uint64_t features = 0;
};

// The highest version that both speak.
std::optional<uint16_t> common_version(const VersionRange& a, const VersionRange& b);

struct Hello {
  VersionRange versions;
  uint64_t features = kFeatures;
  ResourceId resource;
  Seat from;
  Seat to;
  Lane lane = Lane::control;
  Uuid pairing;  // drawn by the initiator: ties the two lanes of one path
  Nonce nonce{};
  // Drawn by the initiator for each link, and the same on all paths of that link. Nil: the link has this one path.
  Uuid session;
  uint8_t path = 0;           // its number, in the order of the configuration; below kMaxPaths
  bool joins = false;         // the initiator has the link already, and adds a path to it
  bool control_only = false;  // the path has no data lane
  friend bool operator==(const Hello&, const Hello&) = default;
};

struct Challenge {
  uint16_t version = 0;
  uint64_t features = 0;
  Nonce nonce{};
  friend bool operator==(const Challenge&, const Challenge&) = default;
};

enum class ProofKind : uint8_t { shared_secret = 1, signature = 2 };

struct Proof {
  ProofKind kind = ProofKind::shared_secret;
  std::array<std::byte, 32> key{};    // signature: the public key. Otherwise zero
  std::array<std::byte, 64> proof{};  // shared_secret: 32 bytes and zeroes
  friend bool operator==(const Proof&, const Proof&) = default;
};

struct Welcome {
  std::array<std::byte, 32> proof{};  // zero from a witness, which does not know the secret
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

// Why one end will not talk to the other. Numbers are stable; an unknown one from a later release is shown by
// its text.
enum class RefusalCode : uint8_t {
  malformed = 1,
  version,         // no common protocol version
  resource,        // the address serves another resource, or the witness does not know this one
  seat,            // unexpected node-ids
  secret,          // the proof does not hold
  stand_alone,     // that side waits for `connect`: its operator disconnected it, or it refused a meeting
  direction,       // that side connects, it is not connected to
  storage_failed,  // witness: its state for the resource cannot be written
  busy,            // too many connections
  path,            // that side's configuration has no such path
  session,         // that side has no such link (any more): the other will notice, and begin anew
  certificate,     // TLS: the certificate is for another node
};
const char* text_of(RefusalCode code);

struct Refusal {
  RefusalCode code = RefusalCode::malformed;
  std::string text;  // for the other side's log; at most kMaxRefusalText bytes, printable ASCII
  friend bool operator==(const Refusal&, const Refusal&) = default;
};
constexpr size_t kMaxRefusalText = 256;

std::vector<std::byte> encode(const Hello& hello);
std::vector<std::byte> encode(const Challenge& challenge);
std::vector<std::byte> encode(const Proof& proof);
std::vector<std::byte> encode(const Welcome& welcome);
std::vector<std::byte> encode(const Refusal& refusal);  // cuts the text and replaces what is not printable

std::optional<Hello> decode_hello(std::span<const std::byte> body);
std::optional<Challenge> decode_challenge(std::span<const std::byte> body);
std::optional<Proof> decode_proof(std::span<const std::byte> body);
std::optional<Welcome> decode_welcome(std::span<const std::byte> body);
std::optional<Refusal> decode_refusal(std::span<const std::byte> body);

}  // namespace lockstep
