#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <absl/synchronization/mutex.h>

#include "base/clock.h"
#include "base/executor.h"
#include "sdk/src/client/transport.h"

namespace perdure::client {
namespace {

using Arrival = base::Task;

// The thread that brings the replies of all calls of the process, each to its `done`. One: where several wait, each reply
// wakes another to wait in its place, which costs as much as all else about a reply. It lives as long as the process.
grpc::CompletionQueue& replies() {
  static grpc::CompletionQueue* queue = [] {
    auto* made = new grpc::CompletionQueue;
    static base::Executor* thread =
        base::make_thread_executor("grpc-replies", base::system_clock()).release();
    thread->post(base::Lane::kCompletion, 0, [made] {
      const BringsReplies here;
      void* tag = nullptr;
      for (bool ok = false; made->Next(&tag, &ok);) (*std::unique_ptr<Arrival>(static_cast<Arrival*>(tag)))();
    });
    return made;
  }();
  return *queue;
}

class GrpcCall final : public Transport::Call {
 public:
  explicit GrpcCall(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}
  void cancel() override { context.TryCancel(); }

 private:
  std::shared_ptr<grpc::Channel> channel_;  // outlives the context, which holds it in its own way

 public:
  grpc::ClientContext context;
  grpc::ByteBuffer request, response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
};

std::string text_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return {};
  std::string text;
  text.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices)
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

bool uses_tls(const ClientOptions& options) {
  return options.tls.value_or(!options.api_key.empty() || !options.tls_server_ca.empty() ||
                              !options.tls_certificate.empty() || !options.tls_server_name.empty());
}

class GrpcTransport final : public Transport {
 public:
  explicit GrpcTransport(const ClientOptions& options)
      : ns_(options.ns), api_key_(options.api_key), metadata_(options.grpc_metadata) {
    // Debian's abseil aborts on lock orders that gRPC is fine with.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // Connection repeats calls; gRPC would keep a copy of each call for it.
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (uses_tls(options)) {
      grpc::SslCredentialsOptions tls;
      tls.pem_root_certs = options.tls_server_ca;
      tls.pem_cert_chain = options.tls_certificate;
      tls.pem_private_key = options.tls_key;
      credentials = grpc::SslCredentials(tls);
      if (!options.tls_server_name.empty()) arguments.SetSslTargetNameOverride(options.tls_server_name);
    }
    channel_ = grpc::CreateCustomChannel(options.address, credentials, arguments);
    stub_ = std::make_unique<grpc::GenericStub>(channel_);
  }

  std::shared_ptr<Call> call(const std::string& method, const std::string& request, base::Duration timeout,
                             std::function<void(Reply)> done) override {
    auto call = std::make_shared<GrpcCall>(channel_);
    call->context.set_deadline(base::system_clock().now() + timeout);
    call->context.AddMetadata("client-name", "perdure-cpp");
    call->context.AddMetadata("client-version", "0.1.0");
    call->context.AddMetadata("temporal-namespace", ns_);
    if (!api_key_.empty()) call->context.AddMetadata("authorization", "Bearer " + api_key_);
    for (const auto& [key, value] : metadata_) call->context.AddMetadata(key, value);
    const grpc::Slice slice(request);
    call->request = grpc::ByteBuffer(&slice, 1);
    call->reader = stub_->PrepareUnaryCall(&call->context, method, call->request, &replies());
    call->reader->StartCall();
    auto arrival = std::make_unique<Arrival>([call, done = std::move(done)] {
      if (call->status.ok()) return done(text_of(call->response));
      done(std::unexpected(base::Error{static_cast<base::Code>(call->status.error_code()),
                                       call->status.error_message(), call->status.error_details()}));
    });
    call->reader->Finish(&call->response, &call->status, arrival.release());
    return call;
  }
  bool has_own_threads() const override { return true; }

 private:
  const std::string ns_, api_key_;
  const std::map<std::string, std::string> metadata_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> stub_;
};

}  // namespace

std::unique_ptr<Transport> make_grpc_transport(const ClientOptions& options) {
  return std::make_unique<GrpcTransport>(options);
}

}  // namespace perdure::client
