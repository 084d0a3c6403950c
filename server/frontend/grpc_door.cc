#include "server/frontend/grpc_door.h"

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "google/rpc/status.pb.h"
#include "server/frontend/grpc_reflection.h"

namespace perdure::frontend {
namespace {

grpc::ByteBuffer buffer_of(std::string bytes) {
  auto* kept = new std::string(std::move(bytes));  // freed with the slice that points into it
  const grpc::Slice slice(
      kept->data(), kept->size(), [](void* text) { delete static_cast<std::string*>(text); }, kept);
  return grpc::ByteBuffer(&slice, 1);
}

constexpr int kMostMetadata = 64 << 10;        // request headers: authorization tokens may be long
constexpr std::size_t kLongestMessage = 4000;  // of an error (ER-04): it travels in a header

// Cut between characters, not inside one.
std::string shortened(const std::string& message) {
  if (message.size() <= kLongestMessage) return message;
  std::size_t end = kLongestMessage;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return message.substr(0, end);
}

grpc::Status status_of(const base::Error& error) {
  const std::string message = shortened(error.message);
  if (error.detail.empty()) return {static_cast<grpc::StatusCode>(error.code), message};
  google::rpc::Status status;
  status.set_code(static_cast<int>(error.code));
  status.set_message(message);
  status.add_details()->ParseFromString(error.detail);
  return {static_cast<grpc::StatusCode>(error.code), message, status.SerializeAsString()};
}

// One call, and its reactor: lives until gRPC says that it is done, and as long as a handler holds it.
class GrpcCall : public Call,
                 public grpc::ServerGenericBidiReactor,
                 public std::enable_shared_from_this<GrpcCall> {
 public:
  GrpcCall(const MethodTable& methods, grpc::GenericCallbackServerContext& context,
           std::atomic<std::size_t>& calls, CallMetrics* metrics)
      : methods_(methods), context_(context), calls_(calls), metrics_(metrics) {}

  void begin(std::shared_ptr<GrpcCall> self, bool refused) {
    self_ = std::move(self);
    method_ = methods_.find(context_.method());
    if (metrics_ != nullptr) {
      began_ = base::system_clock().now();
      metrics_->begin();
    }
    if (refused) {
      finish(base::fail(base::Code::kResourceExhausted, "too many calls are under way"));
      return;
    }
    StartRead(&request_);
  }

  // ---- Call ----
  std::string_view request() const override {
    return {reinterpret_cast<const char*>(slice_.begin()), slice_.size()};
  }
  base::Time deadline() const override {
    const auto deadline = context_.deadline();
    if (deadline == std::chrono::system_clock::time_point::max()) return base::kNever;
    return std::chrono::time_point_cast<base::Duration>(deadline);
  }
  std::string_view header(std::string_view name) const override {
    const auto& metadata = context_.client_metadata();
    const auto found = metadata.find(grpc::string_ref(name.data(), name.size()));
    return found == metadata.end() ? std::string_view()
                                   : std::string_view(found->second.data(), found->second.size());
  }
  void on_client_gone(std::move_only_function<void()> left) override {
    left_ = std::move(left);
    int expected = kOpen;
    if (!state_.compare_exchange_strong(expected, kWatched) && expected == kGone) left_();
  }
  void finish(base::Result<std::string> response) override {
    state_.store(kFinished);
    if (metrics_ != nullptr) {
      metrics_->end(method_, response ? base::Code::kOk : response.error().code,
                    base::system_clock().now() - began_);
    }
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
    if (method_ == nullptr) {
      finish(unknown_method(context_.method()));
      return;
    }
    method_->handler(shared_from_this());
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
  CallMetrics* const metrics_;
  const Method* method_ = nullptr;
  base::Time began_{};
  std::shared_ptr<GrpcCall> self_;
  grpc::ByteBuffer request_, response_;
  grpc::Slice slice_;
  std::move_only_function<void()> left_;
  std::atomic<int> state_{kOpen};
};

// One stream of reflection requests, each answered in turn.
class ReflectionStream : public grpc::ServerGenericBidiReactor {
 public:
  explicit ReflectionStream(const std::vector<std::string>& services) : services_(services) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    grpc::Slice slice;
    if (!ok || !request_.DumpToSingleSlice(&slice).ok()) {
      Finish(grpc::Status::OK);
      return;
    }
    const std::string_view bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
    response_ = buffer_of(answer_reflection(bytes, services_, sent_));
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      StartRead(&request_);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  const std::vector<std::string>& services_;
  std::set<std::string> sent_;
  grpc::ByteBuffer request_, response_;
};

// "temporal.api.workflowservice.v1.WorkflowService" and what else the table holds.
std::vector<std::string> services_of(const MethodTable& methods) {
  std::set<std::string> names{"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"};
  methods.each([&](const Method& method) {
    names.insert(method.full_name.substr(1, method.full_name.rfind('/') - 1));
  });
  return {names.begin(), names.end()};
}

class Service : public grpc::CallbackGenericService {
 public:
  Service(const MethodTable& methods, const GrpcDoorOptions& options)
      : methods_(methods),
        names_(services_of(methods)),
        max_calls_(options.max_calls),
        metrics_(options.metrics) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    if (is_reflection(context->method())) return new ReflectionStream(names_);
    auto call = std::make_shared<GrpcCall>(methods_, *context, calls_, metrics_);
    GrpcCall* reactor = call.get();
    reactor->begin(std::move(call), calls_.fetch_add(1) >= max_calls_);
    return reactor;
  }

 private:
  const MethodTable& methods_;
  const std::vector<std::string> names_;
  const std::size_t max_calls_;
  CallMetrics* const metrics_;
  std::atomic<std::size_t> calls_{0};
};

class Door : public GrpcDoor {
 public:
  Door(const MethodTable& methods, const GrpcDoorOptions& options) : service_(methods, options) {}

  base::Status listen(const GrpcDoorOptions& options) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(options.ip + ":" + std::to_string(options.port),
                             grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(options.max_message_bytes);
    builder.SetMaxSendMessageSize(-1);
    // Clients ping every 30 s without calls under way (ER-09).
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMostMetadata);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0) {
      return base::fail(base::Code::kUnavailable, "cannot listen on " + options.ip + ":" +
                                                      std::to_string(options.port) + "; is the port taken?");
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
    server_->Shutdown(std::chrono::time_point_cast<std::chrono::system_clock::duration>(
        base::system_clock().now() + grace));
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
