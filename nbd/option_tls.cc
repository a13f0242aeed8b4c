// STARTTLS, and what is answered before it where TLS is required [TLS support].
#include "nbd/option.h"

namespace lockstep::nbd {

Next on_starttls(OptionContext& context) {
  if (context.tls == TlsPolicy::off) return on_unsupported(context);
  if (context.secure) {
    context.error(OptionReply::err_invalid, "TLS is in use already");
    return Next::option;
  }
  if (!context.data.empty()) {
    context.error(OptionReply::err_invalid, "NBD_OPT_STARTTLS takes no data");
    return Next::option;
  }
  context.ack();
  return Next::start_tls;
}

bool OptionContext::needs_tls() const {
  const bool allowed = code == static_cast<uint32_t>(Option::starttls) || code == static_cast<uint32_t>(Option::abort);
  return tls == TlsPolicy::forced && !secure && !allowed;
}

// EXPORT_NAME knows no error reply. All others are answered alike, known or not: nothing is told to those who are not proved.
Next on_insecure(OptionContext& context) {
  if (context.code == static_cast<uint32_t>(Option::export_name)) return Next::close;
  context.error(OptionReply::err_tls_reqd, "this server speaks TLS only: begin with NBD_OPT_STARTTLS");
  return Next::option;
}

}  // namespace lockstep::nbd
