#include "sdk/src/embedded/in_process_call.h"

#include "google/rpc/status.pb.h"

namespace perdure::embedded {

client::Reply as_over_grpc(base::Result<std::string> response) {
  if (response || response.error().detail.empty()) return response;
  base::Error error = std::move(response).error();
  google::rpc::Status status;
  status.set_code(static_cast<int>(error.code));
  status.set_message(error.message);
  if (status.add_details()->ParseFromString(error.detail)) error.detail = status.SerializeAsString();
  return std::unexpected(std::move(error));
}

}  // namespace perdure::embedded
