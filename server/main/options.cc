#include "server/main/options.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace perdure::server {
namespace {

bool is_loopback(const std::string& ip) {
  return ip.starts_with("127.") || ip == "::1" || ip == "localhost";
}

// What is given in words and means something else.
struct Texts {
  std::string log_level = "warn", log_format = "text";
};

void add_common(CLI::App& command, ServerOptions& options, Texts& texts) {
  command.add_option("--ip", options.ip, "Address to listen on")->capture_default_str();
  command.add_option("-p,--port", options.port, "Port of the gRPC API")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command.add_option("--metrics-port", options.metrics_port,
                     "Port of the Prometheus metrics (off unless given)");
  command.add_flag("--insecure", options.insecure, "Allow an address beyond loopback without TLS");
  command.add_option("-n,--namespace", options.namespaces,
                     "Namespaces to register at start; \"default\" always is");
  command.add_option("--search-attribute", options.search_attributes,
                     "Search attribute to register, Name=Type");
  command.add_option("--log-level", texts.log_level, "debug, info, warn, error or never")
      ->default_str("warn");
  command.add_option("--log-format", texts.log_format, "text or json")->default_str("text");
}

struct Ignored {
  std::string ui_ip, ui_asset_path, ui_codec_endpoint, ui_public_path;
  int ui_port = 0, http_port = 0;
  bool headless = false;
  std::vector<std::string> dynamic_config, pragmas;
};

// Flags of `temporal server start-dev` that stand for something not built: taken, and said so in one line each.
void add_ignored(CLI::App& command, Ignored& ignored) {
  command.add_flag("--headless", ignored.headless, "No web UI (there is none yet)");
  command.add_option("--ui-port", ignored.ui_port, "Accepted; there is no web UI yet");
  command.add_option("--ui-ip", ignored.ui_ip, "Accepted; there is no web UI yet");
  command.add_option("--ui-asset-path", ignored.ui_asset_path, "Accepted; there is no web UI yet");
  command.add_option("--ui-codec-endpoint", ignored.ui_codec_endpoint, "Accepted; there is no web UI yet");
  command.add_option("--ui-public-path", ignored.ui_public_path, "Accepted; there is no web UI yet");
  command.add_option("--http-port", ignored.http_port, "Accepted; there is no HTTP API yet");
  command.add_option("--dynamic-config-value", ignored.dynamic_config,
                     "Accepted, key=json; no key has a meaning yet");
  command.add_option("--sqlite-pragma", ignored.pragmas, "Accepted, name=value; has no meaning here");
}

void note_ignored(const CLI::App& command, const Ignored& ignored, ServerOptions& options) {
  for (const std::string& value : ignored.dynamic_config) {
    options.ignored.push_back("--dynamic-config-value " + value + ": this key has no meaning here");
  }
  for (const std::string& value : ignored.pragmas) {
    options.ignored.push_back("--sqlite-pragma " + value + ": has no meaning here");
  }
  for (const char* flag :
       {"--ui-port", "--ui-ip", "--ui-asset-path", "--ui-codec-endpoint", "--ui-public-path"}) {
    if (command.count(flag) > 0) options.ignored.push_back(std::string(flag) + ": there is no web UI yet");
  }
  if (command.count("--http-port") > 0) options.ignored.push_back("--http-port: there is no HTTP API yet");
}

bool read(const Texts& texts, ServerOptions& options) {
  const auto level = base::log_level_of(texts.log_level);
  const bool json = texts.log_format == "json";
  // "pretty" was a format of Temporal's once.
  if (!level || (!json && texts.log_format != "text" && texts.log_format != "pretty")) return false;
  options.log_level = *level;
  options.log_format = json ? base::LogFormat::kJson : base::LogFormat::kText;
  return true;
}

Parsed refuse(const std::string& text) {
  std::fprintf(stderr, "perdure: %s\n", text.c_str());
  return {std::nullopt, kExitUsage};
}

}  // namespace

Parsed parse_command_line(int count, char** arguments) {
  ServerOptions options;
  Texts texts;
  Ignored ignored;
  CLI::App app{"Perdure: durable execution that speaks the Temporal API"};
  app.name("perdure");
  app.require_subcommand(1);
  app.set_version_flag("--version,-v",
                       std::string("perdure ") + kVersion + " (Temporal API " + kApiVersionText + ")");
  CLI::App* server = app.add_subcommand("server", "Run the server");
  server->require_subcommand(1);
  CLI::App* start = server->add_subcommand("start", "Run the durable server");
  start->add_option("--data", options.data, "Data directory")->capture_default_str();
  add_common(*start, options, texts);
  CLI::App* dev = server->add_subcommand(
      "start-dev", "Run a server for development; data is gone at the end unless --db-filename is given");
  dev->add_option("-f,--db-filename", options.db_filename, "Keep the data in this directory");
  add_common(*dev, options, texts);
  add_ignored(*dev, ignored);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? kExitOk : kExitUsage};
  }
  options.dev = dev->parsed();
  if (options.dev) note_ignored(*dev, ignored, options);
  if (!is_loopback(options.ip) && !options.insecure) {
    return refuse("--ip " + options.ip +
                  " is reachable from other machines; give --insecure if that is meant");
  }
  if (!read(texts, options)) {
    return refuse(
        "--log-level is one of debug, info, warn, error and never, --log-format one of text and json");
  }
  for (const std::string& attribute : options.search_attributes) {
    const std::size_t sign = attribute.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == attribute.size()) {
      return refuse("--search-attribute " + attribute + ": must be Name=Type");
    }
  }
  return {options, kExitOk};
}

}  // namespace perdure::server
