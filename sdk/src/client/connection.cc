#include "sdk/src/client/connection.h"

#include <unistd.h>

#include <algorithm>
#include <future>

#include "base/clock.h"
#include "sdk/src/payload/convert.h"
#include "sdk/src/runtime/workflow_code.h"

#include <google/protobuf/any.pb.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure {
inline namespace v1 {
namespace detail {

namespace {

std::string default_identity() {
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  return std::to_string(getpid()) + "@" + host;
}

void pause(base::Duration duration) {
  std::promise<void> never;
  (void)never.get_future().wait_for(duration);
}

}  // namespace

bool is_transient(base::Code code) {
  switch (code) {
    case base::Code::kUnavailable:
    case base::Code::kUnknown:
    case base::Code::kInternal:
    case base::Code::kAborted:
    case base::Code::kOutOfRange:
    case base::Code::kDataLoss:
    case base::Code::kResourceExhausted: return true;
    default: return false;
  }
}

Connection::Connection(ClientOptions options, std::unique_ptr<client::Transport> transport)
    : options_(std::move(options)), transport_(std::move(transport)) {
  if (options_.identity.empty()) options_.identity = default_identity();
}

std::string Connection::path(std::string_view method) {
  std::string path = "/temporal.api.workflowservice.v1.WorkflowService/";
  path.append(method);
  return path;
}

std::string raw_call(Connection& connection, const std::string& method, const std::string& request) {
  client::Reply reply = connection.call_bytes(method, request);
  if (!reply)
    throw RpcError(static_cast<int>(reply.error().code), reply.error().message, reply.error().detail);
  return std::move(*reply);
}

client::Reply Connection::call_bytes(const std::string& method, const std::string& request,
                                     base::Duration timeout, base::Duration retry_time) {
  WorkflowCode::must_not_be_here(method.c_str());
  client::BringsReplies::must_not_be_here(method.c_str());
  const std::string path = Connection::path(method);
  const base::Time end = base::system_clock().now() + retry_time;
  base::Duration backoff = std::chrono::milliseconds(50);
  for (;;) {
    auto promise = std::make_shared<std::promise<client::Reply>>();
    auto future = promise->get_future();
    const auto call = transport_->call(
        path, request, timeout, [promise](client::Reply reply) { promise->set_value(std::move(reply)); });
    client::Reply reply = future.get();
    if (reply || !is_transient(reply.error().code) || base::system_clock().now() + backoff > end)
      return reply;
    pause(backoff);
    backoff = std::min<base::Duration>(backoff * 2, std::chrono::seconds(2));
  }
}

void Connection::call_async(const std::string& method, std::string request, base::Executor& timers, Done done,
                            base::Duration timeout, UnderWay under_way) {
  struct Attempts {
    Connection* connection;
    std::string path, request;
    base::Executor* timers;
    Done done;
    base::Duration timeout;
    UnderWay under_way;
    base::Time end;
    base::Duration backoff = std::chrono::milliseconds(50);

    static void run(const std::shared_ptr<Attempts>& self) {
      auto call = self->connection->transport_->call(
          self->path, self->request, self->timeout, [self](client::Reply reply) {
            const base::Time again = base::system_clock().now() + self->backoff;
            if (reply || !is_transient(reply.error().code) || again > self->end)
              return self->done(std::move(reply));
            self->backoff = std::min<base::Duration>(self->backoff * 2, std::chrono::seconds(2));
            auto retry = [self, again] { self->timers->call_at(again, [self] { run(self); }); };
            if (!self->timers->post(base::Lane::kCompletion, 0, std::move(retry)))
              self->done(std::move(reply));
          });
      if (self->under_way) self->under_way(std::move(call));
    }
  };
  auto attempts = std::make_shared<Attempts>();
  attempts->connection = this;
  attempts->path = path(method);
  attempts->request = std::move(request);
  attempts->timers = &timers;
  attempts->done = std::move(done);
  attempts->timeout = timeout;
  attempts->under_way = std::move(under_way);
  attempts->end = base::system_clock().now() + kRetryTime;
  Attempts::run(attempts);
}

void Connection::encode(const Payloads& payloads, temporal::api::common::v1::Payloads* out) const {
  convert::to_wire(options_.codec ? options_.codec->encode(payloads) : payloads, out);
}

namespace {

using WirePayloads = temporal::api::common::v1::Payloads;
using Translate = std::function<Payloads(Payloads)>;

// The body of an update's message.
template <class F>
void with_body(google::protobuf::Any& any, const F& use) {
  const std::string name = any.type_url().substr(any.type_url().rfind('/') + 1);
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  if (type == nullptr) return;
  const std::unique_ptr<google::protobuf::Message> body(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!any.UnpackTo(body.get())) return;
  use(*body);
  any.PackFrom(*body);
}

// The messages that are set in this one, one level down.
template <class F>
void each_part(google::protobuf::Message& message, const F& use) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      use(*reflection.MutableMessage(&message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i)
      use(*reflection.MutableRepeatedMessage(&message, field, i));
  }
}

// The message and all that are in it; what stands in an Any too.
template <class F>
void visit(google::protobuf::Message& message, const F& use) {
  use(message);
  if (message.GetDescriptor() == google::protobuf::Any::descriptor()) {
    auto& any = static_cast<google::protobuf::Any&>(message);
    return with_body(any, [&](google::protobuf::Message& body) { visit(body, use); });
  }
  each_part(message, [&](google::protobuf::Message& part) { visit(part, use); });
}

void translate(google::protobuf::Message& message, const Translate& codec) {
  namespace common = temporal::api::common::v1;
  if (message.GetDescriptor() == common::SearchAttributes::descriptor() ||
      message.GetDescriptor() == common::Header::descriptor()) {
    return;
  }
  if (message.GetDescriptor() == WirePayloads::descriptor()) {
    auto& payloads = static_cast<WirePayloads&>(message);
    const Payloads translated = codec(convert::from_wire(payloads));
    payloads.Clear();
    return convert::to_wire(translated, &payloads);
  }
  if (message.GetDescriptor() == common::Payload::descriptor()) {
    auto& payload = static_cast<common::Payload&>(message);
    const Payloads translated = codec({convert::from_wire(payload)});
    if (translated.size() != 1) throw PayloadError("the codec made another number of payloads out of one");
    payload.Clear();
    return convert::to_wire(translated.front(), &payload);
  }
  if (message.GetDescriptor() == google::protobuf::Any::descriptor()) {
    return with_body(static_cast<google::protobuf::Any&>(message),
                     [&](google::protobuf::Message& body) { translate(body, codec); });
  }
  each_part(message, [&](google::protobuf::Message& part) { translate(part, codec); });
}

}  // namespace

void Connection::encode_all(google::protobuf::Message& message) const {
  if (options_.encode_failures) {
    visit(message, [](google::protobuf::Message& one) {
      if (one.GetDescriptor() == temporal::api::failure::v1::Failure::descriptor())
        convert::hide_text(static_cast<temporal::api::failure::v1::Failure*>(&one));
    });
  }
  if (!options_.codec) return;
  translate(message, [this](Payloads payloads) { return options_.codec->encode(std::move(payloads)); });
}

void Connection::decode_all(google::protobuf::Message& message) const {
  if (!options_.codec) return;
  translate(message, [this](Payloads payloads) { return options_.codec->decode(std::move(payloads)); });
}

Payloads Connection::decode(const temporal::api::common::v1::Payloads& payloads) const {
  Payloads plain = convert::from_wire(payloads);
  return options_.codec ? options_.codec->decode(std::move(plain)) : plain;
}

}  // namespace detail

Client Client::connect(ClientOptions options) {
  auto transport = client::make_grpc_transport(options);
  if (options.metrics)
    transport = client::make_metered_transport(std::move(transport), options.metrics, options.ns);
  const Duration most = options.connect_timeout;
  auto connection = std::make_shared<detail::Connection>(std::move(options), std::move(transport));
  namespace service = temporal::api::workflowservice::v1;
  (void)connection->call<service::GetSystemInfoResponse>("GetSystemInfo", service::GetSystemInfoRequest(),
                                                         most, most);
  return Client(std::move(connection));
}

}  // namespace v1
}  // namespace perdure
