// LIST_META_CONTEXT and SET_META_CONTEXT. There is one context: base:allocation.
#include "nbd/option.h"

namespace lockstep::nbd {

namespace {

constexpr std::string_view kBaseAllocation = "base:allocation";
constexpr std::string_view kBaseNamespace = "base:";

struct MetaQuery {
  std::string_view export_name;
  bool names_base_allocation = false;
  bool names_base_namespace = false;  // "base:", a wildcard in LIST only
  bool empty = false;                 // no query at all: everything in LIST, nothing in SET
};

// [NBD_OPT_LIST_META_CONTEXT]: export name, count, that many strings. The count is a claim: only what is
// there counts.
std::optional<MetaQuery> parse(std::span<const std::byte> data) {
  OptionReader reader(data);
  MetaQuery query;
  const auto name = reader.string();
  if (!name) return std::nullopt;
  query.export_name = *name;
  const auto count = reader.u32();
  if (!count) return std::nullopt;
  query.empty = *count == 0;
  for (uint32_t i = 0; i < *count; ++i) {
    const auto text = reader.string();
    if (!text) return std::nullopt;
    if (*text == kBaseAllocation) query.names_base_allocation = true;
    if (*text == kBaseNamespace) query.names_base_namespace = true;
  }
  if (reader.remaining() != 0) return std::nullopt;
  return query;
}

void put_context(OptionContext& context, uint32_t id) {
  context.reply_header(OptionReply::meta_context, sizeof(uint32_t) + kBaseAllocation.size());
  append_be32(context.out, id);
  append_text(context.out, kBaseAllocation);
}

struct Question {
  MetaQuery query;
  ExportInfo info;
};

// Parses and looks the export up; on nullopt `next` says how to go on.
std::optional<Question> ask(OptionContext& context, Next& next) {
  next = Next::option;
  if (!context.negotiated.structured_replies) {
    context.error(OptionReply::err_invalid, "negotiate structured replies first");
    return std::nullopt;
  }
  const std::optional<MetaQuery> query = parse(context.data);
  if (!query) {
    context.error(OptionReply::err_invalid, "malformed option");
    return std::nullopt;
  }
  Lookup found = resolve(context.directory, query->export_name, ExportDirectory::Purpose::describe);
  if (std::holds_alternative<Deferred>(found)) {
    next = Next::wait;
    return std::nullopt;
  }
  if (const auto* refusal = std::get_if<Refusal>(&found)) {
    context.refuse(*refusal);
    return std::nullopt;
  }
  return Question{*query, std::get<ExportInfo>(std::move(found))};
}

}  // namespace

Next on_list_meta_context(OptionContext& context) {
  Next next = Next::option;
  const std::optional<Question> question = ask(context, next);
  if (!question) return next;
  const MetaQuery& query = question->query;
  // The id means nothing in LIST.
  if (query.empty || query.names_base_namespace || query.names_base_allocation) put_context(context, 0);
  context.ack();
  return Next::option;
}

Next on_set_meta_context(OptionContext& context) {
  // Each SET replaces what the one before selected, also when it fails.
  context.negotiated.base_allocation = false;
  context.negotiated.context_export.clear();
  Next next = Next::option;
  const std::optional<Question> question = ask(context, next);
  if (!question) return next;
  if (question->query.names_base_allocation) {
    context.negotiated.base_allocation = true;
    context.negotiated.context_export = question->info.name;
    put_context(context, kBaseAllocationId);
  }
  context.ack();
  return Next::option;
}

}  // namespace lockstep::nbd
