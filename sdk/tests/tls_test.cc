// TLS, mTLS, API keys, metadata and the codec, as a server sees them: one that the test starts, with
// certificates that the test makes.
#include <gtest/gtest.h>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/guarded.h"

#include <perdure/client.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure {
namespace {

namespace service = temporal::api::workflowservice::v1;
using Headers = std::multimap<std::string, std::string>;

// What came in.
struct Request {
  std::string method, bytes;
  Headers headers;
};

// Answers GetSystemInfo and StartWorkflowExecution, and keeps what it was asked.
class Recorder : public grpc::CallbackGenericService {
 public:
  // The next call of StartWorkflowExecution ends so.
  void fail_next(grpc::StatusCode code) { next_.store(code); }
  std::vector<Request> requests(const std::string& method) const {
    return requests_.with([&](const std::vector<Request>& all) {
      std::vector<Request> found;
      for (const Request& one : all) {
        if (one.method.ends_with("/" + method)) found.push_back(one);
      }
      return found;
    });
  }

 private:
  class Call : public grpc::ServerGenericBidiReactor {
   public:
    Call(Recorder& recorder, grpc::GenericCallbackServerContext& context) : recorder_(recorder) {
      request_.method = context.method();
      for (const auto& [key, value] : context.client_metadata())
        request_.headers.emplace(std::string(key.data(), key.size()),
                                 std::string(value.data(), value.size()));
      StartRead(&received_);
    }
    void OnReadDone(bool ok) override {
      std::vector<grpc::Slice> slices;
      if (!ok || !received_.Dump(&slices).ok()) return Finish(grpc::Status::CANCELLED);
      for (const auto& slice : slices)
        request_.bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
      const bool starts = request_.method.ends_with("/StartWorkflowExecution");
      recorder_.requests_.with([&](auto& all) { all.push_back(std::move(request_)); });
      if (const auto code = starts ? recorder_.next_.exchange(grpc::OK) : grpc::OK; code != grpc::OK)
        return Finish(grpc::Status(code, "as the test wants"));
      service::StartWorkflowExecutionResponse started;
      started.set_run_id("the-run");
      const grpc::Slice answer(starts ? started.SerializeAsString() : std::string());
      answer_ = grpc::ByteBuffer(&answer, 1);
      StartWriteAndFinish(&answer_, {}, grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    Recorder& recorder_;
    Request request_;
    grpc::ByteBuffer received_, answer_;
  };
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new Call(*this, *context);
  }

  mutable base::Guarded<std::vector<Request>> requests_;
  std::atomic<grpc::StatusCode> next_{grpc::OK};
};

std::string contents(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// An authority, a server's certificate for "perdure.test" and a client's, made by openssl.
class Certificates {
 public:
  Certificates() : folder_(::testing::TempDir() + "perdure-tls-" + std::to_string(getpid()) + "/") {
    run("mkdir -p " + folder_);
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority "
        "-keyout " +
        folder_ + "ca.key -out " + folder_ + "ca.pem");
    sign("server", "subjectAltName=DNS:perdure.test");
    sign("client", "extendedKeyUsage=clientAuth");
  }
  ~Certificates() { run("rm -r " + folder_); }
  std::string text(const std::string& name) const { return contents(folder_ + name); }

 private:
  static void run(const std::string& command) {
    if (std::system((command + " > /dev/null 2>&1").c_str()) != 0) throw std::runtime_error(command);
  }
  void sign(const std::string& name, const std::string& extension) {
    const std::string base = folder_ + name;
    std::ofstream(base + ".ext") << extension << "\n";
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name + " -keyout " +
        base + ".key -out " + base + ".csr");
    run("openssl x509 -req -days 2 -in " + base + ".csr -CA " + folder_ + "ca.pem -CAkey " + folder_ +
        "ca.key -CAcreateserial -extfile " + base + ".ext -out " + base + ".pem");
  }
  const std::string folder_;
};

enum class Security { kNone, kServer, kMutual };

class Tls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    certificates = new Certificates;
  }
  static void TearDownTestSuite() { delete certificates; }

  ClientOptions serve(Security security) {
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    if (security != Security::kNone) {
      grpc::SslServerCredentialsOptions options(
          security == Security::kMutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                        : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
      options.pem_root_certs = certificates->text("ca.pem");
      options.pem_key_cert_pairs.push_back(
          {certificates->text("server.key"), certificates->text("server.pem")});
      credentials = grpc::SslServerCredentials(options);
    }
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterCallbackGenericService(&recorder_);
    server_ = builder.BuildAndStart();
    ClientOptions client;
    client.address = "127.0.0.1:" + std::to_string(port);
    client.connect_timeout = 300ms;
    if (security != Security::kNone) {
      client.tls_server_ca = certificates->text("ca.pem");
      client.tls_server_name = "perdure.test";
    }
    if (security == Security::kMutual) {
      client.tls_certificate = certificates->text("client.pem");
      client.tls_key = certificates->text("client.key");
    }
    return client;
  }
  void TearDown() override { server_->Shutdown(); }
  std::vector<std::string> header(const std::string& method, const std::string& name) const {
    const Headers headers = recorder_.requests(method).at(0).headers;
    std::vector<std::string> values;
    for (auto [it, end] = headers.equal_range(name); it != end; ++it) values.push_back(it->second);
    return values;
  }

  static inline Certificates* certificates = nullptr;
  Recorder recorder_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(Tls, a_server_with_a_certificate_of_a_known_authority_is_believed) {
  const Client client = Client::connect(serve(Security::kServer));
  EXPECT_EQ(client.start("w", {.id = "a", .task_queue = "q"}).run_id(), "the-run");
  EXPECT_EQ(header("GetSystemInfo", "temporal-namespace"), std::vector<std::string>{"default"});
  EXPECT_EQ(header("GetSystemInfo", "client-name"), std::vector<std::string>{"perdure-cpp"});
  EXPECT_TRUE(header("GetSystemInfo", "authorization").empty());
}

TEST_F(Tls, one_of_another_name_or_authority_is_not) {
  const ClientOptions good = serve(Security::kServer);
  ClientOptions other_name = good;
  other_name.tls_server_name = "someone.else";
  EXPECT_THROW(Client::connect(other_name), RpcError);
  ClientOptions no_name = good;  // then the address must be in the certificate, which it is not
  no_name.tls_server_name = "";
  EXPECT_THROW(Client::connect(no_name), RpcError);
  ClientOptions other_authority = good;
  other_authority.tls_server_ca = certificates->text("client.pem");
  EXPECT_THROW(Client::connect(other_authority), RpcError);
  ClientOptions plain = good;
  plain.tls = false;
  EXPECT_THROW(Client::connect(plain), RpcError);
  EXPECT_TRUE(recorder_.requests("GetSystemInfo").empty());
}

TEST_F(Tls, a_client_shows_its_certificate_to_a_server_that_asks) {
  const ClientOptions good = serve(Security::kMutual);
  EXPECT_EQ(Client::connect(good).start("w", {.id = "a", .task_queue = "q"}).run_id(), "the-run");
  ClientOptions nobody = good;
  nobody.tls_certificate = nobody.tls_key = "";
  EXPECT_THROW(Client::connect(nobody), RpcError);
}

TEST_F(Tls, an_api_key_goes_with_each_call_and_means_tls) {
  ClientOptions options = serve(Security::kServer);
  options.api_key = "secret";
  options.grpc_metadata = {{"tenant", "t1"}};
  const Client client = Client::connect(options);
  (void)client.start("w", {.id = "a", .task_queue = "q"});
  for (const char* method : {"GetSystemInfo", "StartWorkflowExecution"}) {
    EXPECT_EQ(header(method, "authorization"), std::vector<std::string>{"Bearer secret"}) << method;
    EXPECT_EQ(header(method, "tenant"), std::vector<std::string>{"t1"}) << method;
  }
}

TEST_F(Tls, without_tls_an_api_key_is_only_sent_when_that_is_said) {
  ClientOptions options = serve(Security::kNone);
  options.api_key = "secret";
  EXPECT_THROW(Client::connect(options), RpcError);
  EXPECT_TRUE(recorder_.requests("GetSystemInfo").empty());
  options.tls = false;
  (void)Client::connect(options);
  EXPECT_EQ(header("GetSystemInfo", "authorization"), std::vector<std::string>{"Bearer secret"});
}

// The codes that the other SDKs repeat; the others mean the caller.
TEST_F(Tls, transient_errors_are_repeated_and_others_are_not) {
  const std::set<grpc::StatusCode> transient{grpc::UNKNOWN,      grpc::RESOURCE_EXHAUSTED, grpc::ABORTED,
                                             grpc::OUT_OF_RANGE, grpc::INTERNAL,           grpc::UNAVAILABLE,
                                             grpc::DATA_LOSS};
  const Client client = Client::connect(serve(Security::kNone));
  std::size_t calls = 0;
  for (int code = grpc::CANCELLED; code <= grpc::UNAUTHENTICATED; ++code) {
    const auto status = static_cast<grpc::StatusCode>(code);
    recorder_.fail_next(status);
    try {
      EXPECT_EQ(client.start("w", {.id = "a", .task_queue = "q"}).run_id(), "the-run");
      EXPECT_TRUE(transient.contains(status)) << code;
      calls += 2;
    } catch (const Error& error) {
      EXPECT_FALSE(transient.contains(status)) << code << " " << error.what();
      ++calls;
    }
    EXPECT_EQ(recorder_.requests("StartWorkflowExecution").size(), calls) << code;
  }
}

// A call that is repeated is the same call: the server sees one request id.
TEST_F(Tls, a_repeated_call_has_the_request_id_of_the_first) {
  const Client client = Client::connect(serve(Security::kNone));
  recorder_.fail_next(grpc::UNAVAILABLE);
  (void)client.start("w", {.id = "a", .task_queue = "q"});
  std::set<std::string> ids;
  for (const Request& one : recorder_.requests("StartWorkflowExecution")) {
    service::StartWorkflowExecutionRequest request;
    ASSERT_TRUE(request.ParseFromString(one.bytes));
    ids.insert(request.request_id());
  }
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(recorder_.requests("StartWorkflowExecution").size(), 2u);
}

// Writes backwards.
class Mirror : public PayloadCodec {
 public:
  Payloads encode(Payloads payloads) override {
    for (Payload& payload : payloads) {
      std::reverse(payload.data.begin(), payload.data.end());
      payload.metadata["encoding"] = "binary/mirrored";
    }
    return payloads;
  }
  Payloads decode(Payloads payloads) override { return payloads; }
};

TEST_F(Tls, what_the_server_gets_has_been_through_the_codec) {
  ClientOptions options = serve(Security::kServer);
  options.codec = std::make_shared<Mirror>();
  (void)Client::connect(options).start("w", {.id = "a", .task_queue = "q"}, std::string("Ann"));
  service::StartWorkflowExecutionRequest request;
  ASSERT_TRUE(request.ParseFromString(recorder_.requests("StartWorkflowExecution").at(0).bytes));
  ASSERT_EQ(request.input().payloads_size(), 1);
  EXPECT_EQ(request.input().payloads(0).data(), "\"nnA\"");
  EXPECT_EQ(request.input().payloads(0).metadata().at("encoding"), "binary/mirrored");
  EXPECT_EQ(request.workflow_id(), "a");
}

}  // namespace
}  // namespace perdure
