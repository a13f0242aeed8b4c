// Options that name the export to use: EXPORT_NAME, INFO, GO.
#include <algorithm>

#include "nbd/option.h"

namespace lockstep::nbd {

namespace {

struct OpenRequest {
  std::string_view name;
  bool wants_name = false;
  bool wants_description = false;
};

// [NBD_OPT_GO]: name length, name, count, that many 16-bit information requests, and nothing more.
std::optional<OpenRequest> parse(std::span<const std::byte> data) {
  OptionReader reader(data);
  OpenRequest request;
  const auto name = reader.string();
  if (!name) return std::nullopt;
  request.name = *name;
  const auto count = reader.u16();
  if (!count || reader.remaining() != size_t{*count} * sizeof(uint16_t)) return std::nullopt;
  while (const auto kind = reader.u16()) {
    if (*kind == static_cast<uint16_t>(Info::name)) request.wants_name = true;
    if (*kind == static_cast<uint16_t>(Info::description)) request.wants_description = true;
  }
  return request;
}

// A context that was selected for another export does not hold for this one [NBD_OPT_SET_META_CONTEXT].
Agreed agreed(const Negotiated& negotiated, const ExportInfo& info) {
  const bool contexts = !negotiated.contexts.empty() && negotiated.context_export == info.name;
  return {negotiated.structured_replies, negotiated.extended_headers, contexts};
}

void put_export(OptionContext& context, const ExportInfo& info) {
  context.reply_header(OptionReply::info, sizeof(uint16_t) + sizeof(uint64_t) + sizeof(uint16_t));
  append_be16(context.out, static_cast<uint16_t>(Info::export_data));
  append_be64(context.out, info.served_bytes());
  append_be16(context.out, transmission_flags(info, agreed(context.negotiated, info)));
}

// Sent unasked too: a client that did not ask ignores it, and may not be refused for that (nbd-client never
// asks).
void put_block_size(OptionContext& context, const ExportInfo& info) {
  context.reply_header(OptionReply::info, sizeof(uint16_t) + 3 * sizeof(uint32_t));
  append_be16(context.out, static_cast<uint16_t>(Info::block_size));
  append_be32(context.out, info.minimum_block);
  append_be32(context.out, std::max(info.preferred_block, info.minimum_block));
  append_be32(context.out, std::min(kAdvertisedPayload, context.max_payload));
}

void put_text(OptionContext& context, Info kind, std::string_view text) {
  const std::string_view bounded = cut_to_limit(text);
  context.reply_header(OptionReply::info, sizeof(uint16_t) + bounded.size());
  append_be16(context.out, static_cast<uint16_t>(kind));
  append_text(context.out, bounded);
}

void begin_transmission(Negotiated& negotiated, ExportInfo info) {
  if (!agreed(negotiated, info).contexts) negotiated.contexts = {};
  negotiated.export_info = std::move(info);
}

Next answer(OptionContext& context, ExportDirectory::Purpose purpose, Next next) {
  const std::optional<OpenRequest> request = parse(context.data);
  if (!request) {
    context.error(OptionReply::err_invalid, "malformed option");
    return Next::option;
  }
  Lookup found = resolve(context.directory, request->name, purpose);
  if (std::holds_alternative<Deferred>(found)) return Next::wait;
  if (const auto* refusal = std::get_if<Refusal>(&found)) {
    context.refuse(*refusal);
    return Next::option;
  }
  auto& info = std::get<ExportInfo>(found);
  put_export(context, info);
  put_block_size(context, info);
  if (request->wants_name) put_text(context, Info::name, info.name);
  if (request->wants_description) put_text(context, Info::description, info.description);
  context.ack();
  if (next == Next::transmission) begin_transmission(context.negotiated, std::move(info));
  return next;
}

}  // namespace

Next on_info(OptionContext& context) { return answer(context, ExportDirectory::Purpose::describe, Next::option); }

Next on_go(OptionContext& context) { return answer(context, ExportDirectory::Purpose::open, Next::transmission); }

// The old way in: no reply header, and no way to refuse but to close [NBD_OPT_EXPORT_NAME].
Next on_export_name(OptionContext& context) {
  const auto name = OptionReader(context.data).text(context.data.size());
  if (!name || context.negotiated.extended_headers) return Next::close;
  Lookup found = resolve(context.directory, *name, ExportDirectory::Purpose::open);
  if (std::holds_alternative<Deferred>(found)) return Next::wait;
  auto* info = std::get_if<ExportInfo>(&found);
  if (info == nullptr) return Next::close;
  append_be64(context.out, info->served_bytes());
  append_be16(context.out, transmission_flags(*info, agreed(context.negotiated, *info)));
  if (!context.negotiated.no_zeroes) context.out.resize(context.out.size() + kExportNamePadding);
  begin_transmission(context.negotiated, std::move(*info));
  return Next::transmission;
}

}  // namespace lockstep::nbd
