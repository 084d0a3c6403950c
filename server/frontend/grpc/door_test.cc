// The door over loopback, spoken to by gRPC's own generic client.
#include "server/frontend/grpc/door.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpc/grpc.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <future>
#include <string>
#include <vector>

#include "base/random.h"
#include "google/rpc/status.pb.h"
#include "server/frontend/grpc/reflection.h"

namespace perdure::frontend {
namespace {

constexpr const char* kService = "/test.Echo/";

grpc::ByteBuffer buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string text(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  return buffer.DumpToSingleSlice(&slice).ok()
             ? std::string(reinterpret_cast<const char*>(slice.begin()), slice.size())
             : "";
}

class DoorTest : public ::testing::Test {
 protected:
  // The client library stays up between the tests: its shutdown may take seconds and is not what is tested.
  static void SetUpTestSuite() { grpc_init(); }
  void SetUp() override {
    add("Say", [](std::shared_ptr<Call> call) { call->finish("said " + std::string(call->request())); });
    add("Header", [](std::shared_ptr<Call> call) { call->finish(std::string(call->header("who"))); });
    add("Fail", [](std::shared_ptr<Call> call) {
      call->finish(base::fail(base::Code::kNotFound, std::string(5000, 'x'),
                              "\x0a\x01t"));  // an Any with a type and no value
    });
    add("Deadline", [](std::shared_ptr<Call> call) {
      call->finish(call->deadline() == base::kNever ? "never" : "some time");
    });
    add("Park", [this](std::shared_ptr<Call> call) {
      call->on_client_gone([this, call] {
        gone_.set_value();
        call->finish(std::string());
      });
      parked_.set_value();
    });
  }

  void add(const std::string& name, Handler handler) {
    table_.add({kService + name, Policy::kPublic, RateClass::kNone, std::move(handler)});
  }

  void open(GrpcDoorOptions options = {}) {
    metrics_ = std::make_unique<CallMetrics>(table_);
    options.port = 0;
    options.metrics = metrics_.get();
    auto door = GrpcDoor::open(table_, options);
    ASSERT_TRUE(door.has_value()) << door.error().message;
    door_ = std::move(*door);
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
    channel_ = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(door_->port()),
                                         grpc::InsecureChannelCredentials(), arguments);
  }

  void TearDown() override {
    if (!door_) return;
    std::promise<void> closed;
    door_->close(std::chrono::seconds(5), [&] { closed.set_value(); });
    closed.get_future().wait();
  }

  // A call under way. Stays where it is until it has ended.
  struct Unary {
    Unary(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, const std::string& request,
          grpc::ClientContext& context)
        : stub(channel), in(buffer(request)) {
      stub.UnaryCall(&context, path, {}, &in, &out,
                     [this](grpc::Status status) { promise.set_value(std::move(status)); });
    }
    Unary(const Unary&) = delete;
    grpc::Status ended() { return promise.get_future().get(); }

    grpc::GenericStub stub;
    grpc::ByteBuffer in, out;
    std::promise<grpc::Status> promise;
  };

  grpc::Status call(const std::string& path, const std::string& request, std::string* response,
                    grpc::ClientContext* context) {
    Unary unary(channel_, path, request, *context);
    grpc::Status status = unary.ended();
    if (response != nullptr) *response = text(unary.out);
    return status;
  }
  grpc::Status call(const std::string& path, const std::string& request, std::string* response = nullptr) {
    grpc::ClientContext context;
    return call(path, request, response, &context);
  }

  // A call whose answer the client does not read.
  struct Unread {
    Unread(const std::shared_ptr<grpc::Channel>& channel, const std::string& path) : stub(channel) {
      stream = stub.PrepareCall(&context, path, &queue);
      stream->StartCall(nullptr);
      wait();
      stream->WriteLast(buffer(""), {}, nullptr);
      wait();
    }
    ~Unread() {
      context.TryCancel();
      grpc::Status status;
      stream->Finish(&status, nullptr);
      wait();
      queue.Shutdown();
      void* tag = nullptr;
      bool ok = false;
      while (queue.Next(&tag, &ok)) {
      }
    }
    Unread(const Unread&) = delete;
    void wait() {
      void* tag = nullptr;
      bool ok = false;
      ASSERT_TRUE(queue.Next(&tag, &ok));
    }

    grpc::GenericStub stub;
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  };

  int connect_raw() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(door_->port()));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return socket;
  }

  MethodTable table_;
  std::unique_ptr<CallMetrics> metrics_;
  std::unique_ptr<GrpcDoor> door_;
  std::shared_ptr<grpc::Channel> channel_;
  std::promise<void> parked_, gone_;
};

TEST_F(DoorTest, CarriesBytesHeadersAndDeadlines) {
  open();
  std::string response;
  EXPECT_TRUE(call("/test.Echo/Say", "hello", &response).ok());
  EXPECT_EQ(response, "said hello");
  EXPECT_TRUE(call("/test.Echo/Say", "", &response).ok());
  EXPECT_EQ(response, "said ");
  EXPECT_TRUE(call("/test.Echo/Say", std::string(3 << 20, 'x'), &response).ok());
  EXPECT_EQ(response.size(), (3u << 20) + 5);
  EXPECT_TRUE(call("/test.Echo/Deadline", "", &response).ok());
  EXPECT_EQ(response, "never");
  grpc::ClientContext context;
  context.AddMetadata("who", "me");
  context.AddMetadata("odd-bin", std::string("\0\xff", 2));
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  EXPECT_TRUE(call("/test.Echo/Header", std::string(10'000, 'z'), &response, &context).ok());
  EXPECT_EQ(response, "me");
  EXPECT_EQ(metrics_->row(table_.find("/test.Echo/Say")).ended[0], 3u);
  EXPECT_EQ(metrics_->pending(), 0);
}

TEST_F(DoorTest, ErrorsCarryTheirDetail) {
  open();
  const grpc::Status status = call("/test.Echo/Fail", "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message().size(), 4000u);  // ER-04
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 5);
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "t");
}

// Clients refuse trailers beyond 8 KiB, and then show nothing of the error but that.
TEST_F(DoorTest, LargeErrorsArriveWithWhatFits) {
  base::Error error;
  add("Large", [&](std::shared_ptr<Call> call) { call->finish(std::unexpected(error)); });
  open();
  google::protobuf::Any any;
  any.set_type_url("t");
  for (const std::string& character : {std::string("x"), std::string("\xc3\xa9"), std::string("%")}) {
    for (const std::size_t characters : {0, 10, 1000, 2000, 3000, 5000, 100'000}) {
      for (const std::size_t detail : {0, 100, 2000, 3000, 4000, 6000, 7000, 9000, 100'000}) {
        std::string message;
        for (std::size_t i = 0; i < characters; ++i) message += character;
        any.set_value(std::string(detail, 'v'));
        error = {base::Code::kAlreadyExists, message, any.SerializeAsString()};
        SCOPED_TRACE(character + " " + std::to_string(characters) + " " + std::to_string(detail));
        const grpc::Status status = call("/test.Echo/Large", "");
        ASSERT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS) << status.error_message();
        EXPECT_TRUE(message.starts_with(status.error_message()));
        if (characters * character.size() <= 1000) {
          EXPECT_EQ(status.error_message(), message);
        }
        google::rpc::Status details;
        ASSERT_TRUE(details.ParseFromString(status.error_details()));
        if (detail <= 3000) {
          ASSERT_EQ(details.details_size(), 1);
          EXPECT_EQ(details.details(0).value().size(), detail);
        }
      }
    }
  }
}

TEST_F(DoorTest, UnknownMethodsSayWhatSdksLookFor) {
  open();
  const grpc::Status status = call("/test.Echo/Nothing", "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "unknown method Nothing for service test.Echo");
  EXPECT_EQ(metrics_->row(nullptr).ended[12], 1u);
}

TEST_F(DoorTest, TooLargeIsRefusedWithTheTextSdksLookFor) {
  open();
  const grpc::Status status = call("/test.Echo/Say", std::string((4 << 20) + 1, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(status.error_message().find("larger than max"), std::string::npos) << status.error_message();
}

TEST_F(DoorTest, ClientThatLeavesIsNoticed) {
  open();
  grpc::ClientContext context;
  Unary parked(channel_, "/test.Echo/Park", "", context);
  parked_.get_future().wait();
  context.TryCancel();
  gone_.get_future().wait();
  EXPECT_EQ(parked.ended().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(DoorTest, PassedDeadlineIsNoticed) {
  open();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::time_point());  // long ago by the time it arrives
  EXPECT_EQ(call("/test.Echo/Park", "", nullptr, &context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(DoorTest, CallsAreBounded) {
  open({.max_calls = 0});
  EXPECT_EQ(call("/test.Echo/Say", "").error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// Until what it is owed has been read or given up, a client gets nothing new.
TEST_F(DoorTest, WhoDoesNotReadIsRefused) {
  std::promise<void> answered;
  add("Much", [&](std::shared_ptr<Call> call) {
    call->finish(std::string(6 << 20, 'x'));
    answered.set_value();
  });
  open({.max_unread_bytes = 1 << 20});
  EXPECT_TRUE(call("/test.Echo/Say", "").ok());
  {
    const Unread much(channel_, "/test.Echo/Much");
    answered.get_future().wait();
    const grpc::Status status = call("/test.Echo/Say", "");
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_NE(status.error_message().find("not read"), std::string::npos) << status.error_message();
  }
  grpc::Status status;
  do {
    status = call("/test.Echo/Say", "");
  } while (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);  // the door has not heard of it yet
  EXPECT_TRUE(status.ok());
}

// Calls that wait for something are answered however much that is; not without end.
TEST_F(DoorTest, WhoIsOwedFarTooMuchIsCutOff) {
  constexpr std::size_t kCalls = 3;
  std::array<std::promise<std::shared_ptr<Call>>, kCalls> waiting;
  std::size_t count = 0;
  add("Wait", [&](std::shared_ptr<Call> call) { waiting.at(count++).set_value(std::move(call)); });
  open({.max_unread_bytes = 1 << 20});
  grpc::ClientContext context;
  Unary parked(channel_, "/test.Echo/Park", "", context);
  parked_.get_future().wait();
  std::deque<Unread> calls;
  for (std::size_t i = 0; i < kCalls; ++i) calls.emplace_back(channel_, "/test.Echo/Wait");
  for (auto& call : waiting) call.get_future().get()->finish(std::string(4 << 20, 'x'));
  gone_.get_future().wait();
  EXPECT_EQ(parked.ended().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DoorTest, HealthKnowsEveryService) {
  open();
  std::string response;
  for (const char* request : {"", "\x0a\x09test.Echo"}) {
    EXPECT_TRUE(call("/grpc.health.v1.Health/Check", request, &response).ok());
    EXPECT_EQ(response, "\x08\x01");  // SERVING
  }
  EXPECT_EQ(call("/grpc.health.v1.Health/Check", "\x0a\x03xyz").error_code(), grpc::StatusCode::NOT_FOUND);
}

// A watch is told once and stays open until the client leaves.
TEST_F(DoorTest, HealthIsWatched) {
  open();
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto stream = stub.PrepareCall(&context, "/grpc.health.v1.Health/Watch", &queue);
  const auto wait = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  stream->StartCall(nullptr);
  ASSERT_TRUE(wait());
  stream->WriteLast(buffer(""), {}, nullptr);
  ASSERT_TRUE(wait());
  grpc::ByteBuffer answer;
  stream->Read(&answer, nullptr);
  ASSERT_TRUE(wait());
  EXPECT_EQ(text(answer), "\x08\x01");
  context.TryCancel();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  ASSERT_TRUE(wait());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(DoorTest, ClosingWaitsForCallsAndThenGivesThemUp) {
  open();
  grpc::ClientContext context;
  Unary parked(channel_, "/test.Echo/Park", "", context);
  parked_.get_future().wait();
  std::promise<void> closed;
  door_->close(std::chrono::milliseconds(1), [&] { closed.set_value(); });
  closed.get_future().wait();
  gone_.get_future().wait();
  EXPECT_EQ(parked.ended().error_code(), grpc::StatusCode::UNAVAILABLE);
  door_.reset();
}

// What is not HTTP/2 ends its own connection only, and a client that goes away takes its calls with it.
TEST_F(DoorTest, StrangersAreTurnedAway) {
  open();
  for (const std::string_view bytes :
       {std::string_view("GET / HTTP/1.1\r\n\r\n"), std::string_view("\0\0\0", 3)}) {
    const int stranger = connect_raw();
    ASSERT_EQ(send(stranger, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    shutdown(stranger, SHUT_WR);
    std::array<char, 1000> answer;
    while (recv(stranger, answer.data(), answer.size(), 0) > 0) {
    }
    close(stranger);
  }
  EXPECT_TRUE(call("/test.Echo/Say", "still here").ok());
}

// Frames without sense after a correct beginning: the connection ends, or not; the door goes on.
TEST_F(DoorTest, NonsenseFramesDoNoHarm) {
  open();
  const std::string begin("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    base::Random random(seed);
    std::string bytes = begin;
    for (int frame = 0; frame < 6; ++frame) {
      const std::size_t size = random.below(60);
      const char head[] = {0,
                           0,
                           static_cast<char>(size),
                           static_cast<char>(random.below(11)),
                           static_cast<char>(random.below(64)),
                           0,
                           0,
                           0,
                           static_cast<char>(random.below(8))};
      bytes.append(head, sizeof head);
      for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(random.below(256)));
    }
    const int stranger = connect_raw();
    ASSERT_EQ(send(stranger, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    shutdown(stranger, SHUT_WR);
    std::array<char, 1000> answer;
    while (recv(stranger, answer.data(), answer.size(), 0) > 0) {
    }
    close(stranger);
  }
  EXPECT_TRUE(call("/test.Echo/Say", "still here").ok());
  EXPECT_EQ(metrics_->pending(), 0);
}

// Many at once, small and large, on several connections and loops: each gets its own answer.
TEST_F(DoorTest, ManyCallsAtOnce) {
  open({.loops = 3});
  constexpr int kCalls = 600;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 6; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channels.push_back(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(door_->port()),
                                                 grpc::InsecureChannelCredentials(), arguments));
  }
  struct One {
    grpc::ClientContext context;
    grpc::ByteBuffer in, out;
    std::promise<grpc::Status> status;
  };
  std::deque<One> calls(kCalls);
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  for (const auto& channel : channels) stubs.push_back(std::make_unique<grpc::GenericStub>(channel));
  const auto content = [](int i) { return std::to_string(i) + std::string(i % 20 == 0 ? 200'000 : 10, 'm'); };
  for (int i = 0; i < kCalls; ++i) {
    One& one = calls[static_cast<std::size_t>(i)];
    one.in = buffer(content(i));
    stubs[static_cast<std::size_t>(i % 6)]->UnaryCall(
        &one.context, "/test.Echo/Say", {}, &one.in, &one.out,
        [&one](grpc::Status status) { one.status.set_value(status); });
  }
  for (int i = 0; i < kCalls; ++i) {
    One& one = calls[static_cast<std::size_t>(i)];
    EXPECT_TRUE(one.status.get_future().get().ok());
    EXPECT_EQ(text(one.out), "said " + content(i));
  }
}

TEST_F(DoorTest, TakenPortIsAnError) {
  open();
  const auto second = GrpcDoor::open(table_, {.port = door_->port()});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, base::Code::kUnavailable);
}

TEST_F(DoorTest, ReflectionListsTheServices) {
  open();
  std::string response;
  EXPECT_TRUE(call("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", std::string("\x3a\x01*"),
                   &response)
                  .ok());
  EXPECT_NE(response.find("test.Echo"), std::string::npos);
}

// file_containing_symbol and file_by_filename give the file with what it imports; what is unknown is an error
// answer.
TEST(Reflection, AnswersFromTheDescriptorsInTheProcess) {
  const std::string symbol = "google.rpc.Status";
  std::set<std::string> sent;
  std::string answer =
      answer_reflection("\x22" + std::string(1, static_cast<char>(symbol.size())) + symbol, {}, sent);
  EXPECT_NE(answer.find("google/protobuf/any.proto"), std::string::npos);
  EXPECT_EQ(sent.size(), 2u);
  answer = answer_reflection("\x1a\x03zzz", {}, sent);
  EXPECT_NE(answer.find("zzz is not known"), std::string::npos);
  answer = answer_reflection("\xff\xff", {}, sent);
  EXPECT_NE(answer.find("cannot be read"), std::string::npos);
  EXPECT_TRUE(is_reflection("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"));
}

}  // namespace
}  // namespace perdure::frontend
