// Options that take no data: LIST, ABORT, STRUCTURED_REPLY; and those that are not supported.
#include "nbd/option.h"

namespace lockstep::nbd {

Next on_list(OptionContext& context) {
  if (!context.data.empty()) {
    context.error(OptionReply::err_invalid, "NBD_OPT_LIST takes no data");
    return Next::option;
  }
  for (const ExportListing& listing : context.directory.list()) {
    const std::string_view name = cut_to_limit(listing.name);
    const std::string_view description = cut_to_limit(listing.description);
    context.reply_header(OptionReply::server, sizeof(uint32_t) + name.size() + description.size());
    append_be32(context.out, static_cast<uint32_t>(name.size()));
    append_text(context.out, name);
    append_text(context.out, description);
  }
  context.ack();
  return Next::option;
}

Next on_abort(OptionContext& context) {
  context.ack();
  return Next::close;
}

Next on_structured_reply(OptionContext& context) {
  if (!context.data.empty()) {
    context.error(OptionReply::err_invalid, "NBD_OPT_STRUCTURED_REPLY takes no data");
    return Next::option;
  }
  if (context.negotiated.extended_headers) {
    context.error(OptionReply::err_ext_header_reqd, "extended headers were negotiated, and have the better of it");
    return Next::option;
  }
  context.negotiated.structured_replies = true;
  context.ack();
  return Next::option;
}

// Whatever can be done with structured replies can be done with these.
Next on_extended_headers(OptionContext& context) {
  if (!context.data.empty()) {
    context.error(OptionReply::err_invalid, "NBD_OPT_EXTENDED_HEADERS takes no data");
    return Next::option;
  }
  context.negotiated.structured_replies = true;
  context.negotiated.extended_headers = true;
  context.ack();
  return Next::option;
}

Next on_unsupported(OptionContext& context) {
  context.error(OptionReply::err_unsup, "option not supported");
  return Next::option;
}

}  // namespace lockstep::nbd
