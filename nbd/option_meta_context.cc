// LIST_META_CONTEXT and SET_META_CONTEXT: which contexts an export has, and which of them BLOCK_STATUS is to tell about.
#include <algorithm>

#include "nbd/option.h"

namespace lockstep::nbd {

namespace {

struct MetaQuery {
  std::string_view export_name;
  std::vector<std::string_view> texts;

  bool asks_for(std::string_view context) const { return std::find(texts.begin(), texts.end(), context) != texts.end(); }
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
  for (uint32_t i = 0; i < *count; ++i) {
    const auto text = reader.string();
    if (!text) return std::nullopt;
    query.texts.push_back(*text);
  }
  if (reader.remaining() != 0) return std::nullopt;
  return query;
}

void put_context(OptionContext& context, uint32_t id, std::string_view name) {
  context.reply_header(OptionReply::meta_context, sizeof(uint32_t) + name.size());
  append_be32(context.out, id);
  append_text(context.out, name);
}

// Every context that there is of an export, `visit(id, name)`.
template <class Visit>
void each_context(const ExportInfo& info, Visit visit) {
  visit(kBaseAllocationId, kBaseAllocation);
  for (size_t i = 0; i < info.contexts.size(); ++i) visit(own_context_id(i), std::string_view(info.contexts[i]));
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

// No query at all means everything, and a namespace with its colon all that is in it.
Next on_list_meta_context(OptionContext& context) {
  Next next = Next::option;
  const std::optional<Question> question = ask(context, next);
  if (!question) return next;
  const MetaQuery& query = question->query;
  each_context(question->info, [&](uint32_t, std::string_view name) {
    const std::string_view its_namespace = name.substr(0, name.find(':') + 1);
    if (!query.texts.empty() && !query.asks_for(its_namespace) && !query.asks_for(name)) return;
    put_context(context, 0, name);  // the number means nothing in LIST
  });
  context.ack();
  return Next::option;
}

Next on_set_meta_context(OptionContext& context) {
  // Each SET replaces what the one before selected, also when it fails.
  context.negotiated.contexts = {};
  context.negotiated.context_export.clear();
  Next next = Next::option;
  const std::optional<Question> question = ask(context, next);
  if (!question) return next;
  context.negotiated.context_export = question->info.name;
  each_context(question->info, [&](uint32_t id, std::string_view name) {
    if (!question->query.asks_for(name)) return;
    context.negotiated.contexts.add(id);
    put_context(context, id, name);
  });
  context.ack();
  return Next::option;
}

}  // namespace lockstep::nbd
