// The log, as a start finds it. An input begins with a byte:
//
//   0   the bytes of a segment
//   1   … of which every block has the checksum it should have: what stands in it is looked at
//   2   a group (perdure.internal.v1.Group, after two bytes) that stands at the end of a good log: the server must start,
//       and what is impossible may cost one workflow id, never the others (rule E12)
#include <xxhash.h>

#include <cstring>

#include "base/check.h"
#include "base/sim_disk.h"
#include "proto/internal/record.pb.h"
#include "server/store/local/log_recovery.h"
#include "tests/engine/requests.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/server.h"

namespace perdure::fuzz {
namespace {

namespace local = store::local;

constexpr std::size_t kGroupHead = 2;

// A header that is good, then what was given from the place of the first block on.
std::string segment(std::string_view blocks) {
  const local::SegmentHeader header{
      .store_id = 1, .number = 1, .salt = 5, .first = 1, .durable = 0, .file_bytes = 0};
  std::string bytes = local::encode(header);
  bytes.resize(local::kFirstBlock);
  return bytes.append(blocks);
}

// Gives each block the number of its segment, and its checksum: what damage by chance cannot do.
void seal(std::string& bytes) {
  for (std::size_t at = local::kFirstBlock; at + local::kBlockHeaderBytes <= bytes.size();) {
    char* const block = bytes.data() + at;
    const std::uint64_t number = 1, salt = 5;
    std::uint64_t payload = 0;
    std::memcpy(&payload, block + 8, sizeof payload);
    if (payload > bytes.size() - at - local::kBlockHeaderBytes) return;
    std::memcpy(block, local::kBlockMagic.data(), local::kBlockMagic.size());
    std::memcpy(block + 16, &number, sizeof number);
    const std::uint64_t head = XXH3_64bits_withSeed(block, 40, salt ^ at);
    const std::uint64_t checksum = XXH3_64bits_withSeed(block + local::kBlockHeaderBytes, payload, head);
    std::memcpy(block + 40, &checksum, sizeof checksum);
    at += local::align_block(local::kBlockHeaderBytes + payload);
  }
}

void read_log(const std::string& bytes) {
  base::SimDisk disk;
  CHECK(disk.make_directory("data"));
  auto file = disk.open("data/" + local::segment_name(1), base::OpenMode::kCreate);
  CHECK(file && (*file)->write(0, bytes));
  const auto found = local::find_log(disk, "data", 1, 0, 0);
  if (!found) {
    CHECK(!found.error().message.empty());
    return;
  }
  store::GroupNumber last = 0;
  const auto visit = [&](store::GroupNumber number, std::string_view) { CHECK(number == ++last); };
  CHECK(local::read_groups(disk, *found, 0, visit) && last == found->last);
}

void plant(std::string_view bytes) {
  Server server;
  server.may_be_damaged = true;
  server.prepare();
  engine::wfs::RespondWorkflowTaskFailedRequest failed;
  failed.set_task_token("@w");
  server.send(failed);
  internal::v1::Group group;
  std::string written(bytes);
  if (group.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    fill_in(group, server.names());
    written = group.SerializeAsString();
  }
  server.world().die();
  server.world().plant(std::move(written));
  if (const base::Status begun = server.world().begin(); !begun) {
    CHECK(!begun.error().message.empty());
    return;
  }
  server.look_at("w");
  server.send(engine::signal_request("w", ""));
  server.send(engine::poll_request());
  engine::wfs::RespondActivityTaskCompletedRequest completed;
  completed.set_task_token("@a");
  server.send(completed);
  server.pass(std::chrono::minutes(1));
  server.send(engine::terminate_request("w"));
  server.send(engine::list_request());
  for (const char* run_id : {"@r", "", ""}) {  // that run, and what is left
    engine::wfs::DeleteWorkflowExecutionRequest removal;
    removal.set_namespace_("default");
    removal.mutable_workflow_execution()->set_workflow_id("w");
    removal.mutable_workflow_execution()->set_run_id(run_id);
    server.send(removal);
  }
  server.send(engine::start_request("w"));
  server.look_at("w");
  server.end();
}

}  // namespace
}  // namespace perdure::fuzz

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.byte() % 3) {
    case 0: fuzz::read_log(std::string(input.rest())); break;
    case 1: {
      std::string bytes = fuzz::segment(input.rest());
      fuzz::seal(bytes);
      fuzz::read_log(bytes);
      break;
    }
    default: input.take(fuzz::kGroupHead - 1); fuzz::plant(input.rest());
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  if (size < fuzz::kGroupHead || data[0] % 3 != 2) {
    return LLVMFuzzerMutate != nullptr ? LLVMFuzzerMutate(data, size, most) : size;
  }
  return fuzz::change_message(*internal::v1::Group::descriptor(), fuzz::kGroupHead, data, size, most, seed);
}
