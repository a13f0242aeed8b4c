#include "control/clients_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lockstep {

namespace {

constexpr size_t kShown = 8;  // operations a connection

const char* name_of(nbd::RequestType type) {
  switch (type) {
    case nbd::RequestType::read:
      return "read";
    case nbd::RequestType::write:
      return "write";
    case nbd::RequestType::write_zeroes:
      return "write-zeroes";
    case nbd::RequestType::trim:
      return "trim";
    case nbd::RequestType::flush:
      return "flush";
    case nbd::RequestType::block_status:
      return "block-status";
  }
  return "";
}

const char* name_of(ClientAccess access) {
  switch (access) {
    case ClientAccess::none:
      return "negotiating";
    case ClientAccess::read_write:
      return "read-write";
    case ClientAccess::read_only:
      return "read-only";
    case ClientAccess::barred:
      return "barred";
  }
  return "";
}

std::string client_text(const ClientView& is) {
  const std::string what = is.export_name.empty() ? name_of(is.access) : fmt::format("{} {}", is.export_name, name_of(is.access));
  std::string text = fmt::format("  {}{} {}{} for {} s: {} requests, {} KiB read, {} KiB written", is.client,
                                 is.local ? (is.tls ? " unix tls" : " unix")
                                 : is.tls ? " tls"
                                          : "",
                                 what, is.writes ? ", writes" : "", is.connected.ns / seconds(1).ns, is.requests,
                                 is.bytes_read / 1024, is.bytes_written / 1024);
  if (is.refused > 0) text += fmt::format(", {} changes refused", is.refused);
  text += fmt::format(", {} in flight\n", is.in_flight.size());
  for (size_t i = 0; i < std::min(kShown, is.in_flight.size()); ++i) {
    const ClientOperation& op = is.in_flight[i];
    text += fmt::format("    {} of {} bytes at {}, {} ms old\n", name_of(op.type), op.length, op.offset,
                        op.age.ns / milliseconds(1).ns);
  }
  if (is.in_flight.size() > kShown) text += fmt::format("    and {} younger ones\n", is.in_flight.size() - kShown);
  return text;
}

nlohmann::ordered_json json_of(const ClientView& is) {
  nlohmann::ordered_json all;
  all["client"] = is.client;
  all["transport"] = is.local ? "unix" : "tcp";
  all["tls"] = is.tls;
  all["export"] = is.export_name.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(is.export_name);
  all["access"] = name_of(is.access);
  all["writes"] = is.writes;
  all["connected-ms"] = is.connected.ns / milliseconds(1).ns;
  all["requests"] = is.requests;
  all["bytes-read"] = is.bytes_read;
  all["bytes-written"] = is.bytes_written;
  all["changes-refused"] = is.refused;
  all["in-flight"] = nlohmann::ordered_json::array();
  for (const ClientOperation& op : is.in_flight)
    all["in-flight"].push_back({{"operation", name_of(op.type)},
                                {"offset", op.offset},
                                {"length", op.length},
                                {"age-ms", op.age.ns / milliseconds(1).ns}});
  return all;
}

}  // namespace

std::string clients_text(const std::string& resource, const std::vector<ClientView>& all) {
  if (all.empty()) return "# No NBD client is connected to " + resource + " on this node.\n";
  std::string text = resource + "\n";
  for (const ClientView& is : all) text += client_text(is);
  return text;
}

std::string clients_json_text(const std::string& resource, const std::vector<ClientView>& all) {
  nlohmann::ordered_json shown;
  shown["name"] = resource;
  shown["clients"] = nlohmann::ordered_json::array();
  for (const ClientView& is : all) shown["clients"].push_back(json_of(is));
  return shown.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";  // a client's name may be any bytes
}

}  // namespace lockstep
