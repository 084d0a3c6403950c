// The command line of the server, and what it means.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/log.h"

namespace perdure::server {

inline constexpr const char* kVersion = "0.1.0";          // of Perdure
inline constexpr const char* kApiVersionText = "1.32.0";  // of the Temporal API that it speaks

// Exit codes (docs/reference/cli.md).
enum Exit : int {
  kExitOk = 0,
  kExitUsage = 2,        // the command line is wrong
  kExitUnavailable = 3,  // the data directory or the port cannot be had
  kExitDataLoss = 4,     // the data directory is damaged
  kExitLogLost = 5,      // the log could not be written, so nothing more may be answered
};

struct ServerOptions {
  bool dev = false;  // start-dev: temporary data unless db_filename
  std::string data = "perdure-data";
  std::string db_filename;
  std::string ip = "127.0.0.1";
  int port = 7233;
  int metrics_port = 0;
  bool insecure = false;
  std::vector<std::string> namespaces;
  std::vector<std::string> search_attributes;  // Name=Type
  base::LogLevel log_level = base::LogLevel::kWarn;
  base::LogFormat log_format = base::LogFormat::kText;
  std::vector<std::string> ignored;  // what was given but means nothing here, one line each
};

struct Parsed {
  std::optional<ServerOptions> serve;  // absent: everything is said, end with `exit`
  int exit = kExitOk;
};

// Reads the command line; help, version and errors are printed.
Parsed parse_command_line(int count, char** arguments);

}  // namespace perdure::server
