// Workers of a deployment that is versioned, against Temporal's server: two versions of one worker at a time, runs that stay
// with the version that began them, and runs that go on with the current one.
#include "sdk/tests/on_server.h"

#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace on_temporal_versions {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;
namespace service = temporal::api::workflowservice::v1;

constexpr int kNotFound = 5, kFailedPrecondition = 9;

class Waits {
 public:
  Task<std::string> run(Context ctx) {
    co_await ctx.until([this] { return told_; });
    co_return ctx.info().build_id;
  }
  void tell() { told_ = true; }
  bool told() const { return told_; }
  using signals = handlers<&Waits::tell>;
  using queries = handlers<&Waits::told>;

 private:
  bool told_ = false;
};
class Pinned : public Waits {
 public:
  static constexpr Versioning versioning = Versioning::kPinned;
  Task<std::string> run(Context ctx) { return Waits::run(ctx); }
};

class Versions : public OnServer {
 protected:
  // A worker of that version; `Waits` is of no versioning of its own: the deployment's default holds.
  std::unique_ptr<Worker> version(const std::string& build_id) {
    WorkerOptions options = worker_options();
    options.deployment = Deployment{.name = queue(), .build_id = build_id};
    auto worker = std::make_unique<Worker>(client(), options);
    worker->add<Waits>().add<Pinned>();
    worker->start();
    return worker;
  }
  // New runs begin with it, and those that are not pinned go on with it. Asked for until the server has seen the worker, and
  // waited for until its task queue has heard of it: the answer comes before that.
  void make_current(const std::string& build_id) {
    service::SetWorkerDeploymentCurrentVersionRequest request;
    request.set_namespace_("default");
    request.set_deployment_name(queue());
    request.set_build_id(build_id);
    request.set_identity("test");
    for (;;) {
      try {
        (void)client().raw("SetWorkerDeploymentCurrentVersion", request.SerializeAsString());
        break;
      } catch (const RpcError& error) {
        if (error.code() != kNotFound && error.code() != kFailedPrecondition) throw;
      }
    }
    for (int probe = 0;; ++probe) {
      auto handle = client().start<Waits>(named("probe-" + build_id + "-" + std::to_string(probe)));
      handle.signal<&Waits::tell>();
      if (handle.result() == build_id) return;
    }
  }
};
PERDURE_ON_SERVER(Versions);

TEST_P(Versions, pinned_runs_stay_and_others_go_on_with_the_current_one) {
  const auto first = version("1");
  make_current("1");
  auto stays = client().start<Pinned>(named("pinned"));
  auto goes_on = client().start<Waits>(named("floating"));
  EXPECT_FALSE(client().handle(stays.id()).query<bool>("told"));  // each has had its first task
  EXPECT_FALSE(goes_on.query<&Waits::told>());
  const auto second = version("2");
  make_current("2");
  client().handle(stays.id()).signal("tell");
  goes_on.signal<&Waits::tell>();
  EXPECT_EQ(stays.result(), "1");
  EXPECT_EQ(goes_on.result(), "2");
  EXPECT_EQ(client().start<Waits>(named("fresh")).id(), named("fresh").id);
  client().handle(named("fresh").id).signal("tell");
  EXPECT_EQ(client().handle(named("fresh").id).result<std::string>(), "2");
}

}  // namespace on_temporal_versions
