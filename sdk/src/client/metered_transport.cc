// A transport that counts and times what goes through another, each attempt by itself.
#include "base/clock.h"
#include "sdk/src/client/connection.h"
#include "sdk/src/observe/meter.h"

namespace perdure::client {
namespace {

namespace metric = observe::metric;

const char* name_of(base::Code code) {
  static constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

class MeteredTransport final : public Transport {
 public:
  MeteredTransport(std::unique_ptr<Transport> transport, observe::Meter meter)
      : transport_(std::move(transport)), meter_(std::make_shared<observe::Meter>(std::move(meter))) {}

  std::shared_ptr<Call> call(const std::string& method, const std::string& request, base::Duration timeout,
                             std::function<void(Reply)> done) override {
    const bool waits = timeout >= detail::Connection::kLongPollTimeout;
    const std::string operation = method.substr(method.rfind('/') + 1);
    meter_->count(waits ? metric::kLongRequest : metric::kRequest, {{"operation", operation}});
    const base::Time began = base::system_clock().now();
    return transport_->call(method, request, timeout,
                            [meter = meter_, waits, operation, began, done = std::move(done)](Reply reply) {
                              meter->took(waits ? metric::kLongRequestLatency : metric::kRequestLatency,
                                          base::system_clock().now() - began, {{"operation", operation}});
                              if (!reply)
                                meter->count(
                                    waits ? metric::kLongRequestFailure : metric::kRequestFailure,
                                    {{"operation", operation}, {"status_code", name_of(reply.error().code)}});
                              done(std::move(reply));
                            });
  }
  bool has_own_threads() const override { return transport_->has_own_threads(); }

 private:
  std::unique_ptr<Transport> transport_;
  std::shared_ptr<observe::Meter> meter_;
};

}  // namespace

std::unique_ptr<Transport> make_metered_transport(std::unique_ptr<Transport> transport,
                                                  std::shared_ptr<Metrics> metrics, const std::string& ns) {
  return std::make_unique<MeteredTransport>(std::move(transport), observe::Meter(std::move(metrics), ns));
}

}  // namespace perdure::client
