// The database, as a start finds it. An input is a row of changes to the files of a small store that was stopped in order: which
// file (one byte), where (three bytes), how many bytes (one), the bytes. The start is refused with a reason, or the server
// serves what is there.
#include "base/check.h"
#include "server/store/local/directory.h"
#include "tests/engine/requests.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/server.h"

namespace perdure::fuzz {
namespace {

engine::WorldOptions on(std::shared_ptr<base::SimDisk> disk, std::uint64_t lives) {
  engine::WorldOptions options;
  options.local = true;
  options.disk = std::move(disk);
  options.lives = lives;
  options.may_refuse = lives > 0;
  options.segment_bytes = 16 << 10;
  return options;
}

// The small store. Two workflows are open, one is closed.
const base::SimDisk& example() {
  static const auto made = [] {
    auto disk = std::make_shared<base::SimDisk>(1);
    Server server(on(disk, 0));
    server.prepare();
    for (const char* id : {"v", "closed"}) server.send(engine::start_request(id));
    server.send(engine::terminate_request("closed"));
    server.send(engine::signal_request("w", ""));
    server.pass(std::chrono::seconds(5));
    CHECK(server.world().stop());
    return disk;
  }();
  return *made;
}

void change(base::SimDisk& disk, Input input) {
  const auto names = disk.list("data");
  CHECK(names && !names->empty());
  while (!input.empty()) {
    const std::string path = "data/" + (*names)[input.byte() % names->size()];
    const std::uint64_t at = input.number(3);
    const std::string_view bytes = input.take(input.byte());
    auto file = disk.open(path, base::OpenMode::kReadWrite);
    CHECK(file);
    const std::uint64_t size = *(*file)->size();
    if (size > 0) CHECK((*file)->write(at % size, bytes));
  }
}

void serve(Server& server) {
  server.may_be_damaged = true;
  for (const char* id : {"w", "v", "closed"}) server.look_at(id);
  server.send(engine::list_request());
  engine::wfs::CountWorkflowExecutionsRequest count;
  count.set_namespace_("default");
  server.send(count);
  server.send(engine::poll_request());
  server.send(engine::signal_request("v", ""));
  server.pass(std::chrono::seconds(40));
  server.end();
}

}  // namespace
}  // namespace perdure::fuzz

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::shared_ptr<base::SimDisk> disk = fuzz::example().copy(2);
  fuzz::change(*disk, fuzz::Input(data, size));
  fuzz::Server server(fuzz::on(disk, 1));
  if (const base::Status& begun = server.world().begun(); !begun) {
    CHECK(!begun.error().message.empty());
    return 0;
  }
  fuzz::serve(server);
  return 0;
}
