#include "nbd/transmission.h"

#include "base/check.h"
#include "base/endian.h"

namespace lockstep::nbd {

namespace {

// Flags that a command may carry. FUA is accepted on all of them: clients set it on READ and FLUSH too
// [Command flags]. DF needs structured replies; every READ is answered in one chunk, so there is nothing more
// to it.
uint16_t known_flags(Command command, const TransmissionRules& rules) {
  unsigned flags = kCmdFua;
  switch (command) {
    case Command::read:
      flags |= rules.structured_replies ? unsigned{kCmdDf} : 0;
      break;
    case Command::write_zeroes:
      flags |= kCmdNoHole | kCmdFastZero;
      break;
    case Command::block_status:
      flags |= kCmdReqOne;
      break;
    case Command::write:
      flags |= rules.extended_headers ? unsigned{kCmdPayloadLen} : 0;
      break;
    case Command::disc:
    case Command::flush:
    case Command::trim:
    case Command::cache:
      break;
  }
  return static_cast<uint16_t>(flags);
}

constexpr Verdict refuse(WireError error) { return {Action::answer, error}; }

// Offset and length of everything that has them. Compares, never adds: offset + length may not fit in 64
// bits.
WireError check_range(const RequestHeader& header, const TransmissionRules& rules, WireError past_end) {
  if (header.offset > rules.size || header.length > rules.size - header.offset) return past_end;
  const uint64_t mask = rules.minimum_block - 1;
  return ((header.offset | header.length) & mask) != 0 ? WireError::einval : WireError::none;
}

Verdict judge_read(const RequestHeader& header, const TransmissionRules& rules) {
  if (header.length > rules.max_payload) {
    const bool overflow = (header.flags & kCmdDf) != 0 || rules.extended_headers;
    return refuse(overflow ? WireError::eoverflow : WireError::einval);
  }
  const WireError error = check_range(header, rules, WireError::einval);
  // An empty READ is unspecified; there is nothing to read, and that works.
  if (error != WireError::none || header.length == 0) return refuse(error);
  return {Action::execute};
}

Verdict judge_change(const RequestHeader& header, const TransmissionRules& rules, WireError past_end) {
  if (rules.read_only) return refuse(WireError::eperm);
  const WireError error = check_range(header, rules, past_end);
  if (error != WireError::none || header.length == 0) return refuse(error);
  return {Action::execute};
}

// What would be no faster than a WRITE of zeroes has to be told so at once: the client has other plans then.
Verdict judge_zeroes(const RequestHeader& header, const TransmissionRules& rules) {
  const Verdict verdict = judge_change(header, rules, WireError::enospc);
  const bool fast = rules.fast_zeroes && (header.flags & kCmdNoHole) == 0;
  const bool only_fast = (header.flags & kCmdFastZero) != 0;
  return verdict.action == Action::execute && only_fast && !fast ? refuse(WireError::enotsup) : verdict;
}

Verdict judge_status(const RequestHeader& header, const TransmissionRules& rules) {
  // A reply must have at least one extent, and an extent at least one byte.
  if (header.contexts.empty() || header.length == 0) return refuse(WireError::einval);
  const WireError error = check_range(header, rules, WireError::einval);
  if (error != WireError::none) return refuse(error);
  return {(header.contexts & rules.owners).empty() ? Action::report_all_allocated : Action::execute};
}

}  // namespace

std::optional<RequestHeader> decode_request(std::span<const std::byte> in, bool extended) {
  if (get_be<uint32_t>(in.data()) != (extended ? kMagicExtendedRequest : kMagicRequest)) return std::nullopt;
  RequestHeader header;
  header.flags = get_be<uint16_t>(in.data() + 4);
  header.command = get_be<uint16_t>(in.data() + 6);
  header.cookie = get_be<uint64_t>(in.data() + 8);
  header.offset = get_be<uint64_t>(in.data() + 16);
  header.extended = extended;
  header.length = extended ? get_be<uint64_t>(in.data() + 24) : get_be<uint32_t>(in.data() + 24);
  const bool brings_data = extended ? (header.flags & kCmdPayloadLen) != 0 : header.is(Command::write);
  header.payload = brings_data ? header.length : 0;
  return header;
}

TransmissionRules TransmissionRules::from(const Negotiated& negotiated, uint32_t max_payload) {
  const ExportInfo& info = negotiated.export_info;
  ContextSet owners = negotiated.contexts;
  if (!info.reports_extents) owners.remove(kBaseAllocationId);
  return {info.served_bytes(),
          info.minimum_block,
          max_payload,
          info.read_only,
          negotiated.structured_replies,
          negotiated.contexts,
          owners,
          negotiated.extended_headers,
          info.fast_zeroes};
}

Verdict judge(const RequestHeader& header, const TransmissionRules& rules) {
  // Nobody would wait for so much only to refuse it.
  if (header.payload > rules.max_payload) return {Action::violation};
  if (header.command > static_cast<uint16_t>(Command::block_status)) return refuse(WireError::einval);
  const auto command = static_cast<Command>(header.command);
  if (command == Command::disc) return {Action::disconnect};
  if ((header.flags & ~unsigned{known_flags(command, rules)}) != 0) return refuse(WireError::einval);
  switch (command) {
    case Command::read:
      return judge_read(header, rules);
    case Command::write:
      // Without the flag that says that data follows, none does.
      if (header.payload != header.length) return refuse(WireError::einval);
      return judge_change(header, rules, WireError::enospc);
    case Command::write_zeroes:
      return judge_zeroes(header, rules);
    case Command::trim:
      return judge_change(header, rules, WireError::einval);
    // Offset and length are reserved here. To flush too much is right, to refuse a flush may lose data.
    case Command::flush:
      return {Action::execute};
    case Command::block_status:
      return judge_status(header, rules);
    // Nothing is cached here: it is done.
    case Command::cache:
      return refuse(check_range(header, rules, WireError::einval));
    case Command::disc:
      break;
  }
  UNREACHABLE("DISC is handled above");
}

size_t status_query_bytes(const RequestHeader& header, const TransmissionRules& rules) {
  if (!header.is(Command::block_status) || !rules.extended_headers) return 0;
  for (size_t contexts = 1; contexts <= rules.contexts.size(); ++contexts) {
    const size_t bytes = sizeof(uint64_t) + contexts * sizeof(uint32_t);
    if (header.payload == bytes) return bytes;
  }
  return 0;
}

bool take_status_query(RequestHeader& header, std::span<const std::byte> query, const TransmissionRules& rules) {
  header.flags &= static_cast<uint16_t>(~unsigned{kCmdPayloadLen});
  header.payload = 0;
  header.length = get_be<uint64_t>(query.data());
  header.contexts = {};
  for (size_t at = sizeof(uint64_t); at < query.size(); at += sizeof(uint32_t)) {
    const auto id = get_be<uint32_t>(query.data() + at);
    if (!rules.contexts.has(id) || header.contexts.has(id)) return false;
    header.contexts.add(id);
  }
  return true;
}

Request to_request(const RequestHeader& header, const TransmissionRules& rules) {
  Request request;
  switch (static_cast<Command>(header.command)) {
    case Command::read:
      request.type = RequestType::read;
      break;
    case Command::write:
      request.type = RequestType::write;
      break;
    case Command::write_zeroes:
      request.type = RequestType::write_zeroes;
      break;
    case Command::trim:
      request.type = RequestType::trim;
      break;
    case Command::flush:
      request.type = RequestType::flush;
      break;
    case Command::block_status:
      request.type = RequestType::block_status;
      break;
    case Command::disc:
    case Command::cache:
      UNREACHABLE("never executed");
  }
  request.fua = (header.flags & kCmdFua) != 0;
  request.no_hole = (header.flags & kCmdNoHole) != 0;
  request.one_extent = (header.flags & kCmdReqOne) != 0;
  request.contexts = header.contexts & rules.owners;
  if (request.type != RequestType::flush) {
    request.offset = header.offset;
    request.length = header.length;
  }
  return request;
}

uint32_t payload_bytes(const RequestHeader& header) {
  return header.is(Command::read) || header.is(Command::write) ? static_cast<uint32_t>(header.length) : 0;
}

}  // namespace lockstep::nbd
