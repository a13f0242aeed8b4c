#include "control/clients_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

// A client under TLS is called what it has proved to be, in whatever bytes, cut wherever.
TEST(ClientsText, ANameThatIsNoUtf8IsShownAllTheSame) {
  ClientView view;
  view.client = "psk \xe4lice \xc3";
  view.tls = true;
  const auto shown = nlohmann::json::parse(clients_json_text("r0", {view}));
  EXPECT_EQ(shown["clients"][0]["client"], "psk \xef\xbf\xbdlice \xef\xbf\xbd");
  EXPECT_EQ(shown["clients"][0]["tls"], true);
  EXPECT_NE(clients_text("r0", {view}).find("lice"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
