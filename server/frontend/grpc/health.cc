#include "server/frontend/grpc/health.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>

namespace perdure::frontend {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Field 1 of HealthCheckResponse with ServingStatus SERVING and SERVICE_UNKNOWN.
constexpr std::string_view kServing{"\x08\x01", 2}, kUnknown{"\x08\x03", 2};

base::Result<std::string> asked_service(std::string_view request) {
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(request.data()),
                      static_cast<int>(request.size()));
  std::string service;
  while (const std::uint32_t tag = in.ReadTag()) {
    const bool is_service = tag == WireFormatLite::MakeTag(1, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
    const bool read =
        is_service ? WireFormatLite::ReadString(&in, &service) : WireFormatLite::SkipField(&in, tag);
    if (!read) return base::invalid_argument("the request is not a HealthCheckRequest");
  }
  return service;
}

bool served(const std::string& service, const std::vector<std::string>& services) {
  return service.empty() || std::find(services.begin(), services.end(), service) != services.end();
}

}  // namespace

base::Result<std::string> check_health(std::string_view request, const std::vector<std::string>& services) {
  TRY(const std::string service, asked_service(request));
  if (!served(service, services)) return base::fail(base::Code::kNotFound, "unknown service " + service);
  return std::string(kServing);
}

base::Result<std::string> watch_health(std::string_view request, const std::vector<std::string>& services) {
  TRY(const std::string service, asked_service(request));
  return std::string(served(service, services) ? kServing : kUnknown);
}

}  // namespace perdure::frontend
