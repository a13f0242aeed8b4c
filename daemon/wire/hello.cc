#include "wire/hello.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "core/codec/tenure_codec.h"

namespace lockstep {

namespace {

template <size_t N>
std::array<std::byte, N> get_array(ByteReader& in) {
  std::array<std::byte, N> value{};
  const auto bytes = in.get_bytes(N);
  if (bytes.size() == N) std::memcpy(value.data(), bytes.data(), N);
  return value;
}

// Flags of a Hello.
constexpr uint8_t kJoins = 1;
constexpr uint8_t kControlOnly = 2;

// What came off the wire goes to a log: nothing in it may pretend to be a log line of its own.
std::string printable(std::string text) {
  if (text.size() > kMaxRefusalText) text.resize(kMaxRefusalText);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace

std::optional<uint16_t> common_version(const VersionRange& a, const VersionRange& b) {
  const uint16_t highest = std::min(a.max, b.max);
  if (highest < std::max(a.min, b.min)) return std::nullopt;
  return highest;
}

const char* text_of(RefusalCode code) {
  switch (code) {
    case RefusalCode::malformed:
      return "malformed handshake";
    case RefusalCode::version:
      return "no common protocol version";
    case RefusalCode::resource:
      return "another resource";
    case RefusalCode::seat:
      return "unexpected node-id";
    case RefusalCode::secret:
      return "wrong secret";
    case RefusalCode::stand_alone:
      return "StandAlone: it waits for connect";
    case RefusalCode::direction:
      return "wrong direction of connection";
    case RefusalCode::storage_failed:
      return "storage failed";
    case RefusalCode::busy:
      return "too many connections";
    case RefusalCode::path:
      return "no such path";
    case RefusalCode::session:
      return "no such link";
    case RefusalCode::certificate:
      return "certificate for another node";
  }
  return "refused";  // a later release's code
}

std::vector<std::byte> encode(const Hello& hello) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.put(hello.versions.min);
  out.put(hello.versions.max);
  out.put(hello.features);
  out.put(hello.resource);
  encode_seat(out, hello.from);
  encode_seat(out, hello.to);
  out.put(static_cast<uint8_t>(hello.lane));
  out.put(hello.pairing);
  out.put_bytes(hello.nonce);
  out.put(hello.session);
  out.put(hello.path);
  out.put(static_cast<uint8_t>((hello.joins ? kJoins : 0) | (hello.control_only ? kControlOnly : 0)));
  return bytes;
}

std::optional<Hello> decode_hello(std::span<const std::byte> body) {
  ByteReader in(body);
  Hello hello;
  hello.versions.min = in.get<uint16_t>();
  hello.versions.max = in.get<uint16_t>();
  hello.features = in.get<uint64_t>();
  hello.resource = in.get_uuid();
  hello.from = decode_seat(in);
  hello.to = decode_seat(in);
  const auto lane = in.get<uint8_t>();
  hello.lane = static_cast<Lane>(lane);
  hello.pairing = in.get_uuid();
  hello.nonce = get_array<32>(in);
  if (in.ok() && in.remaining() > 0) {  // a release before paths ends here
    hello.session = in.get_uuid();
    hello.path = in.get<uint8_t>();
    const auto flags = in.get<uint8_t>();
    hello.joins = (flags & kJoins) != 0;
    hello.control_only = (flags & kControlOnly) != 0;
  }
  if (hello.path >= kMaxPaths || (hello.control_only && hello.lane == Lane::data)) return std::nullopt;
  if (!in.ok() || lane > 1 || hello.versions.min > hello.versions.max) return std::nullopt;
  return hello;
}

std::vector<std::byte> encode(const Challenge& challenge) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.put(challenge.version);
  out.put(challenge.features);
  out.put_bytes(challenge.nonce);
  return bytes;
}

std::optional<Challenge> decode_challenge(std::span<const std::byte> body) {
  ByteReader in(body);
  Challenge challenge;
  challenge.version = in.get<uint16_t>();
  challenge.features = in.get<uint64_t>();
  challenge.nonce = get_array<32>(in);
  if (!in.ok()) return std::nullopt;
  return challenge;
}

std::vector<std::byte> encode(const Proof& proof) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.put(static_cast<uint8_t>(proof.kind));
  out.put_bytes(proof.key);
  out.put_bytes(proof.proof);
  return bytes;
}

std::optional<Proof> decode_proof(std::span<const std::byte> body) {
  ByteReader in(body);
  Proof proof;
  const auto kind = in.get<uint8_t>();
  proof.kind = static_cast<ProofKind>(kind);
  proof.key = get_array<32>(in);
  proof.proof = get_array<64>(in);
  if (!in.ok() || kind < 1 || kind > 2) return std::nullopt;
  return proof;
}

std::vector<std::byte> encode(const Welcome& welcome) { return {welcome.proof.begin(), welcome.proof.end()}; }

std::optional<Welcome> decode_welcome(std::span<const std::byte> body) {
  ByteReader in(body);
  Welcome welcome;
  welcome.proof = get_array<32>(in);
  if (!in.ok()) return std::nullopt;
  return welcome;
}

std::vector<std::byte> encode(const Refusal& refusal) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  const std::string text = printable(refusal.text);
  out.put(static_cast<uint8_t>(refusal.code));
  out.put(static_cast<uint16_t>(text.size()));
  out.put_bytes({reinterpret_cast<const std::byte*>(text.data()), text.size()});
  return bytes;
}

std::optional<Refusal> decode_refusal(std::span<const std::byte> body) {
  ByteReader in(body);
  Refusal refusal;
  refusal.code = static_cast<RefusalCode>(in.get<uint8_t>());
  const size_t length = in.get<uint16_t>();
  const auto bytes = in.get_bytes(length);
  if (!in.ok() || length > kMaxRefusalText) return std::nullopt;
  refusal.text = printable(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return refusal;
}

}  // namespace lockstep
