#include "server/frontend/grpc_door.h"

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <atomic>
#include <optional>

#include "google/rpc/status.pb.h"

namespace perdure::frontend {
namespace {

grpc::ByteBuffer buffer_of(std::string bytes) {
  auto* kept = new std::string(std::move(bytes));  // freed with the slice that points into it
  const grpc::Slice slice(
      kept->data(), kept->size(), [](void* text) { delete static_cast<std::string*>(text); }, kept);
  return grpc::ByteBuffer(&slice, 1);
}

grpc::Status status_of(const base::Error& error) {
  if (error.detail.empty()) return {static_cast<grpc::StatusCode>(error.code), error.message};
  google::rpc::Status status;
  status.set_code(static_cast<int>(error.code));
  status.set_message(error.message);
  status.add_details()->ParseFromString(error.detail);
  return {static_cast<grpc::StatusCode>(error.code), error.message, status.SerializeAsString()};
}

// One call, and its reactor: lives until gRPC says that it is done, and as long as a handler holds it.
class GrpcCall : public Call, public grpc::ServerGenericBidiReactor, public std::enable_shared_from_this<GrpcCall> {
 public:
  GrpcCall(const MethodTable& methods, grpc::GenericCallbackServerContext& context, std::atomic<std::size_t>& calls)
      : methods_(methods), context_(context), calls_(calls) {}

  void begin(std::shared_ptr<GrpcCall> self, bool refused) {
    self_ = std::move(self);
    if (refused) {
      finish(base::fail(base::Code::kResourceExhausted, "too many calls are under way"));
      return;
    }
    StartRead(&request_);
  }

  // ---- Call ----
  std::string_view request() const override { return {reinterpret_cast<const char*>(slice_.begin()), slice_.size()}; }
  base::Time deadline() const override {
    const auto deadline = context_.deadline();
    if (deadline == std::chrono::system_clock::time_point::max()) return base::kNever;
    return std::chrono::time_point_cast<base::Duration>(deadline);
  }
  std::string_view header(std::string_view name) const override {
    const auto& metadata = context_.client_metadata();
    const auto found = metadata.find(grpc::string_ref(name.data(), name.size()));
    return found == metadata.end() ? std::string_view() : std::string_view(found->second.data(), found->second.size());
  }
  void on_client_gone(std::move_only_function<void()> left) override {
    left_ = std::move(left);
    int expected = kOpen;
    if (!state_.compare_exchange_strong(expected, kWatched) && expected == kGone) left_();
  }
  void finish(base::Result<std::string> response) override {
    state_.store(kFinished);
    if (!response) {
      Finish(status_of(response.error()));
      return;
    }
    response_ = buffer_of(std::move(*response));
    StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
  }

  // ---- reactor ----
  void OnReadDone(bool ok) override {
    if (!ok) {
      finish(base::fail(base::Code::kInvalidArgument, "the call carries no request message"));
      return;
    }
    if (!request_.TrySingleSlice(&slice_).ok() && !request_.DumpToSingleSlice(&slice_).ok()) {
      finish(base::fail(base::Code::kInvalidArgument, "the request message cannot be read"));
      return;
    }
    methods_.dispatch(context_.method(), shared_from_this());
  }
  void OnCancel() override {
    if (state_.exchange(kGone) == kWatched) left_();
  }
  void OnDone() override {
    calls_.fetch_sub(1);
    const std::shared_ptr<GrpcCall> last = std::move(self_);
  }

 private:
  enum : int { kOpen, kWatched, kGone, kFinished };

  const MethodTable& methods_;
  grpc::GenericCallbackServerContext& context_;
  std::atomic<std::size_t>& calls_;
  std::shared_ptr<GrpcCall> self_;
  grpc::ByteBuffer request_, response_;
  grpc::Slice slice_;
  std::move_only_function<void()> left_;
  std::atomic<int> state_{kOpen};
};

class Service : public grpc::CallbackGenericService {
 public:
  Service(const MethodTable& methods, std::size_t max_calls) : methods_(methods), max_calls_(max_calls) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    auto call = std::make_shared<GrpcCall>(methods_, *context, calls_);
    GrpcCall* reactor = call.get();
    reactor->begin(std::move(call), calls_.fetch_add(1) >= max_calls_);
    return reactor;
  }

 private:
  const MethodTable& methods_;
  const std::size_t max_calls_;
  std::atomic<std::size_t> calls_{0};
};

class Door : public GrpcDoor {
 public:
  Door(const MethodTable& methods, const GrpcDoorOptions& options) : service_(methods, options.max_calls) {}

  base::Status listen(const GrpcDoorOptions& options) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(options.ip + ":" + std::to_string(options.port), grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(options.max_message_bytes);
    builder.SetMaxSendMessageSize(-1);
    // Clients ping every 30 s without calls under way (ER-09).
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0) {
      return base::fail(base::Code::kUnavailable,
                        "cannot listen on " + options.ip + ":" + std::to_string(options.port) + "; is the port taken?");
    }
    if (auto* health = server_->GetHealthCheckService()) {
      health->SetServingStatus(true);
      for (const std::string_view service : {kWorkflowService, kOperatorService}) {
        health->SetServingStatus(std::string(service.substr(1, service.size() - 2)), true);
      }
    }
    return {};
  }

  int port() const override { return port_; }
  void close(base::Duration grace) override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::milliseconds>(grace));
    server_->Wait();
  }

 private:
  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

base::Result<std::unique_ptr<GrpcDoor>> GrpcDoor::open(const MethodTable& methods, GrpcDoorOptions options) {
  auto door = std::make_unique<Door>(methods, options);
  TRY_VOID(door->listen(options));
  return door;
}

}  // namespace perdure::frontend
