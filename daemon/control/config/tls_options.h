// Which of the options about TLS go together.
#pragma once

#include <string>
#include <string_view>

#include "control/config/model.h"

namespace lockstep::config {

// An error and a warning; both empty: nothing is the matter with them.
struct TlsObjection {
  Section section = Section::options;
  std::string_view option;  // where it is written, if it is
  std::string error;
  std::string warning;
};
TlsObjection nbd_tls_objection(const Options& options);
TlsObjection link_tls_objection(const Net& net);

}  // namespace lockstep::config
