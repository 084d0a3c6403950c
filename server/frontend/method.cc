#include "server/frontend/method.h"

#include <google/protobuf/stubs/logging.h>

#include <limits>

namespace perdure::frontend {

Status parse(std::string_view bytes, google::protobuf::Message& request, const RequestShape& shape) {
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::invalid_argument("the request is not a valid " + request.GetDescriptor()->name());
  }
  return shape.check(request);
}

}  // namespace perdure::frontend
