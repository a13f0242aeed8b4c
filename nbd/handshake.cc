#include "nbd/handshake.h"

#include "base/check.h"
#include "base/endian.h"
#include "nbd/option.h"

namespace lockstep::nbd {

void Handshake::greet(std::vector<std::byte>& out) {
  append_be64(out, kMagicServer);
  append_be64(out, kMagicOption);
  append_be16(out, kFlagFixedNewstyle | kFlagNoZeroes);
}

Handshake::Step Handshake::step(std::span<const std::byte> in, std::vector<std::byte>& out) {
  return have_client_flags_ ? take_option(in, out) : take_client_flags(in);
}

Handshake::Step Handshake::take_client_flags(std::span<const std::byte> in) {
  if (in.size() < kClientFlagsBytes) return {0, Outcome::need_more};
  const uint32_t flags = get_be<uint32_t>(in.data());
  // "The server MUST close the connection if it does not recognise a client flag." Without FIXED_NEWSTYLE a
  // client may only send EXPORT_NAME; answering its other options does it no harm.
  if ((flags & ~uint32_t{kFlagFixedNewstyle | kFlagNoZeroes}) != 0) return {kClientFlagsBytes, Outcome::closed};
  negotiated_.no_zeroes = (flags & kFlagNoZeroes) != 0;
  have_client_flags_ = true;
  return {kClientFlagsBytes, Outcome::progressed};
}

void Handshake::secured() {
  CHECK(!secure_);
  Negotiated fresh;
  fresh.no_zeroes = negotiated_.no_zeroes;
  negotiated_ = std::move(fresh);
  secure_ = true;
}

Handshake::Step Handshake::take_option(std::span<const std::byte> in, std::vector<std::byte>& out) {
  // Junk is recognised by its first eight bytes, without waiting for a length that may mean nothing.
  if (in.size() < sizeof(uint64_t)) return {0, Outcome::need_more};
  if (get_be<uint64_t>(in.data()) != kMagicOption) return {sizeof(uint64_t), Outcome::closed};
  if (in.size() < kOptionHeaderBytes) return {0, Outcome::need_more};
  const uint32_t code = get_be<uint32_t>(in.data() + 8);
  const uint32_t length = get_be<uint32_t>(in.data() + 12);
  OptionContext context{code, {}, directory_, max_payload_, tls_, secure_, negotiated_, out};
  if (length > kMaxOptionBytes) {
    // EXPORT_NAME knows no error reply.
    if (code != static_cast<uint32_t>(Option::export_name)) context.error(OptionReply::err_too_big, "option too long");
    return {kOptionHeaderBytes, Outcome::closed};
  }
  if (in.size() - kOptionHeaderBytes < length) return {0, Outcome::need_more};
  if (options_seen_ == kMaxOptions) return {kOptionHeaderBytes, Outcome::closed};

  context.data = in.subspan(kOptionHeaderBytes, length);
  const Next next = context.needs_tls() ? on_insecure(context) : find_option_handler(code)(context);
  if (next == Next::wait) return {0, Outcome::deferred};
  ++options_seen_;
  const size_t consumed = kOptionHeaderBytes + length;
  switch (next) {
    case Next::option:
      return {consumed, Outcome::progressed};
    case Next::transmission:
      return {consumed, Outcome::transmission};
    case Next::start_tls:
      return {consumed, Outcome::start_tls};
    case Next::close:
      return {consumed, Outcome::closed};
    case Next::wait:
      break;
  }
  UNREACHABLE("Next::wait is handled above");
}

}  // namespace lockstep::nbd
