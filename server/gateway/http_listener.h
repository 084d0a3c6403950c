// A small HTTP listener: GET of a few paths, each answered with a text. For metrics and liveness, not for
// load.
//
// Thread rule: open, port and the destructor from the owner's thread; the answers are made on the listener's
// own thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"

namespace perdure::gateway {

// Path → what a GET of it answers, as text/plain.
using HttpPages = std::map<std::string, std::function<std::string()>>;

class HttpListener {
 public:
  // UNAVAILABLE when the port cannot be had. Port 0: any free one.
  static base::Result<std::unique_ptr<HttpListener>> open(const std::string& ip, int port, HttpPages pages);
  // Stops listening and closes what is open.
  virtual ~HttpListener() = default;
  virtual int port() const = 0;
};

}  // namespace perdure::gateway
