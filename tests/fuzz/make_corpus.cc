// Writes the seeds of the corpora: make_fuzz_corpus DIRECTORY. The same bytes every time. What fuzzing found
// beside them has names of its own and is left alone.
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <nghttp2/nghttp2.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "base/check.h"
#include "examples/fan_out/thumbnails.h"
#include "examples/hello/hello.h"
#include "examples/order_saga/order.h"
#include "proto/internal/record.pb.h"
#include "sdk/tests/fake_server.h"
#include "sdk/tests/savings.h"
#include "server/store/local/log_format.h"
#include "server/store/memory/memory_content.h"
#include "tests/fuzz/histories_programs.h"
#include "tests/fuzz/server.h"

namespace perdure::fuzz {
namespace {

using detail::define_workflow;
using test::FakeServer;

class Corpus {
 public:
  explicit Corpus(std::filesystem::path directory) : directory_(std::move(directory)) {}
  void add(const std::string& target, const std::string& bytes) {
    std::filesystem::create_directories(directory_ / target);
    char name[32];
    std::snprintf(name, sizeof name, "seed-%02d", ++counts_[target]);
    std::ofstream(directory_ / target / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path directory_;
  std::map<std::string, int> counts_;
};

void each_line(const std::string& file, const std::function<void(const std::string&)>& visit) {
  std::ifstream in(std::string(FUZZ_SEEDS "/") + file);
  CHECK(in);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with('#')) visit(line);
  }
}

// ---- requests

std::string with_abbreviations(std::string line) {
  const std::map<std::string, std::string> meanings{
      {"$START",
       "StartWorkflowExecution namespace: 'default' workflow_id: 'w' workflow_type { name: 'T' } "
       "task_queue { name: 'tq' }"},
      {"$POLL", "PollWorkflowTaskQueue namespace: 'default' task_queue { name: 'tq' }"},
      {"$DONE", "RespondWorkflowTaskCompleted namespace: 'default' task_token: '@w'"}};
  for (const auto& [name, meaning] : meanings) {
    if (line.starts_with(name)) line.replace(0, name.size(), meaning);
  }
  return line;
}

std::string step(std::uint8_t method, const std::string& request) {
  std::string bytes(1, static_cast<char>(method));
  bytes.push_back(static_cast<char>(request.size()));
  bytes.push_back(static_cast<char>(request.size() >> 8));
  return bytes + request;
}

std::string step_of(const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string text = space == line.npos ? "" : line.substr(space + 1);
  if (line.starts_with('+')) {
    const int seconds = std::stoi(text);
    return step(255, {static_cast<char>(seconds), static_cast<char>(seconds >> 8)});
  }
  const std::uint8_t number = number_of(line.substr(0, space));
  const auto request = make_message(*method_of(number).input_type());
  if (!google::protobuf::TextFormat::ParseFromString(text, request.get())) {
    std::fprintf(stderr, "cannot read: %s\n", line.c_str());
    std::exit(1);
  }
  return step(number, request->SerializeAsString());
}

void requests(Corpus& corpus) {
  std::string bytes;
  const auto end = [&] {
    if (!bytes.empty()) corpus.add("requests", bytes);
    bytes.clear();
  };
  each_line("requests.txt", [&](const std::string& line) {
    if (line.empty()) return end();
    bytes += step_of(with_abbreviations(line));
  });
  end();
}

// ---- tokens

template <class Message>
std::string from_text(const std::string& text) {
  Message message;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message.SerializeAsString();
}

void tokens(Corpus& corpus) {
  using internal::v1::HistoryToken;
  using internal::v1::TaskToken;
  for (int method = 0; method < 7; ++method) {
    for (const int of_activity : {0, 0x40})
      corpus.add("task_tokens", std::string(1, static_cast<char>(method | of_activity)));
  }
  for (const char* change :
       {"nonce: 1", "attempt: 2", "run_id: 'x'", "workflow_id: 'v'", "scheduled_id: 99", "started_id: -1",
        "kind: 3 query_id: 'q'", "activity_id: 'a2'", "namespace_id: 'n'"}) {
    corpus.add("task_tokens", std::string(1, 0x42) + from_text<TaskToken>(change));
    corpus.add("task_tokens", std::string(1, 0x00) + from_text<TaskToken>(change));
  }
  corpus.add("task_tokens", "\x06" + from_text<TaskToken>("kind: 3 query_id: 'q'"));
  corpus.add("task_tokens", "\x80token");
  for (const char head : {'\x00', '\x01', '\x40', '\x02', '\x80'})
    corpus.add("page_tokens", std::string(1, head));
  for (const char* change : {"next_event_id: 1", "next_event_id: 99", "run_id: 'x'", "workflow_id: 'v'",
                             "reverse: true", "next_event_id: -1", "running: true", "namespace_id: 'n'"}) {
    corpus.add("page_tokens", std::string(1, '\x00') + from_text<HistoryToken>(change));
    corpus.add("page_tokens", std::string(1, '\x01') + from_text<HistoryToken>(change));
  }
  const std::string time("\0\0\x9a\xff\x1e\xd9\x97\x17", 8);
  for (const char flag : {'0', '1'})
    corpus.add("page_tokens", std::string("\x02") + flag + time + time + "run");
}

// ---- the store

void log_records(Corpus& corpus) {
  namespace local = store::local;
  const local::SegmentHeader header{
      .store_id = 1, .number = 1, .salt = 5, .first = 1, .durable = 0, .file_bytes = 0};
  std::string blocks;
  for (int block = 0; block < 3; ++block) {
    local::BlockWriter writer;
    writer.begin();
    writer.add("group" + std::to_string(block));
    if (block == 1) writer.add("");
    const store::GroupNumber first = block < 2 ? static_cast<store::GroupNumber>(block) + 1 : 4;
    blocks += writer.finish(header, local::kFirstBlock + blocks.size(), first, 0);
    corpus.add("log_records", "\x01" + blocks);
  }
  std::string segment = local::encode(header);
  corpus.add("log_records", std::string(1, 0) + segment);
  segment.resize(local::kFirstBlock);
  corpus.add("log_records", std::string(1, 0) + segment + blocks);

  Server server;
  server.prepare();
  Names back;
  back[server.names().at("@r")] = "@r";
  internal::v1::Group group;
  const auto add = [&] { corpus.add("log_records", std::string("\x02\x00", 2) + group.SerializeAsString()); };
  for (const auto& [number, bytes] : server.world().content().groups) {
    CHECK(group.ParseFromString(bytes));
    fill_in(group, back);
    add();
  }
  internal::v1::UnitRecords& unit = *group.mutable_units(0);
  unit.clear_records();
  each_line("log_records.txt", [&](std::string line) {
    if (!line.empty()) {
      if (const std::size_t at = line.find("$N"); at != line.npos) line.replace(at, 2, unit.namespace_id());
      CHECK(google::protobuf::TextFormat::ParseFromString(line, unit.add_records()));
    } else if (unit.records_size() > 0) {
      add();
      unit.clear_records();
    }
  });
  add();
}

void database_pages(Corpus& corpus) {
  base::Random random(20261124);
  for (int i = 0; i < 24; ++i) {
    std::string bytes;
    for (std::uint64_t left = 1 + random.below(2); left > 0; --left) {
      for (int n = 0; n < 4; ++n) bytes.push_back(static_cast<char>(random.next()));
      const std::uint64_t size = 1 + random.below(6);
      bytes.push_back(static_cast<char>(size));
      for (std::uint64_t n = 0; n < size; ++n)
        bytes.push_back(random.below(2) == 0 ? '\xff' : static_cast<char>(random.next()));
    }
    corpus.add("database_pages", bytes);
  }
}

// ---- histories

void add_history(Corpus& corpus, FakeServer& server, bool json = false) {
  temporal::api::history::v1::History history;
  for (const auto& event : server.history()) *history.add_events() = event;
  std::string bytes;
  if (json) {
    CHECK(google::protobuf::util::MessageToJsonString(history, &bytes).ok());
  } else {
    bytes = history.SerializeAsString();
  }
  corpus.add("histories", std::string(1, json ? '\x01' : '\x00') + bytes);
}

void histories_of_everything(Corpus& corpus) {
  using programs::Everything;
  {
    FakeServer server(define_workflow<Everything>(), std::vector<int>{0, 1, 14});
    server.task();
    server.complete_activity(0, 5);
    server.signal("add", programs::Item{"i", 1.5, {{"k", {1}}}});
    server.task();
    server.fire_timer(0);
    server.task();
    server.fail_activity(1, "no");
    server.task();
    server.fire_timer(1);
    server.task();
    add_history(corpus, server);
    add_history(corpus, server, true);
  }
  {
    FakeServer server(define_workflow<Everything>(), std::vector<int>{6, 7, 2, 8, 9, 15, 11, 12});
    server.local = [](const detail::LocalActivity&) { return FakeServer::local_value<int>(2); };
    server.task();
    server.fire_timer(0);
    server.task();
    server.cancel_activity(0);
    server.task();
    add_history(corpus, server);
  }
  {
    FakeServer server(define_workflow<Everything>(), std::vector<int>{3, 4, 5, 10, 13});
    server.task();
    server.start_child(0);
    server.complete_child(0, 3);
    server.task();
    server.deliver_signal(1);
    server.task();
    server.refuse_cancel(2);
    server.task();
    add_history(corpus, server);
  }
  {
    FakeServer server(define_workflow<Everything>(), std::vector<int>{10, 16, 1});
    server.update("u1", "change", 4);
    server.update("u2", "change", -4);
    server.signal("later", 4);
    server.task();
    server.fire_timer(0);
    server.complete_activity(0, 1);
    server.task();
    server.cancel();
    server.task();
    add_history(corpus, server);
  }
}

void histories_of_examples(Corpus& corpus) {
  {
    FakeServer server(define_workflow<shop::OrderWorkflow>(), shop::Order{"o", {"42", 1}, 5});
    server.task();
    server.complete_activity(0, std::string("res"));
    server.task();
    server.signal("approve", std::string("ann"));
    server.task();
    server.fail_activity(1, "no money");
    server.task();
    add_history(corpus, server);
  }
  {
    FakeServer server(define_workflow<savings::Savings>(), savings::Account{"a", 3, 0});
    server.signal("deposit", 5L);
    server.task();
    server.complete_activity(0, std::string("entry"));
    server.signal("close");
    server.task();
    add_history(corpus, server);
  }
  FakeServer greeting(define_workflow<&hello::greet>(), std::string("Ann"));
  greeting.task();
  add_history(corpus, greeting, true);
  FakeServer thumbs(define_workflow<&pictures::thumbnails>(), std::vector<std::string>(12, "u"));
  thumbs.task();
  for (int i = 0; i < 10; ++i) thumbs.complete_activity(i, pictures::Thumb{"u", 7});
  thumbs.task();
  add_history(corpus, thumbs);
}

// ---- connections: what nghttp2's client sends

struct Body {
  std::string bytes;
  std::size_t sent = 0;
};

class Client {
 public:
  Client() {
    nghttp2_session_callbacks* callbacks = nullptr;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    CHECK(nghttp2_session_client_new(&session_, callbacks, nullptr) == 0);
    nghttp2_session_callbacks_del(callbacks);
    CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0) == 0);
  }
  ~Client() { nghttp2_session_del(session_); }

  std::int32_t call(const std::string& path, std::string body,
                    const std::map<std::string, std::string>& more = {}, const std::string& method = "POST",
                    const std::string& type = "application/grpc") {
    std::vector<std::pair<std::string, std::string>> all{{":method", method},    {":scheme", "http"},
                                                         {":path", path},        {":authority", "a"},
                                                         {"content-type", type}, {"te", "trailers"}};
    all.insert(all.end(), more.begin(), more.end());
    std::vector<nghttp2_nv> headers;
    for (const auto& [name, value] : all) {
      headers.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                         reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
                         value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    bodies_.push_back(std::make_unique<Body>(Body{std::move(body)}));
    const nghttp2_data_provider data{{.ptr = bodies_.back().get()}, read};
    const std::int32_t stream =
        nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &data, nullptr);
    CHECK(stream > 0);
    flush();
    return stream;
  }
  void reset(std::int32_t stream) {
    CHECK(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL) == 0);
    flush();
  }
  void ping() {
    CHECK(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr) == 0);
    CHECK(nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, 0, 1 << 20) == 0);
    flush();
  }
  std::string sent;

 private:
  static ssize_t read(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t most,
                      std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& body = *static_cast<Body*>(source->ptr);
    const std::size_t size = std::min(most, body.bytes.size() - body.sent);
    std::copy_n(body.bytes.data() + body.sent, size, out);
    body.sent += size;
    if (body.sent == body.bytes.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
  void flush() {
    for (const std::uint8_t* bytes = nullptr;;) {
      const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
      CHECK(size >= 0);
      if (size == 0) return;
      sent.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
  }

  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Body>> bodies_;
};

std::string message(const std::string& bytes, char flag = 0) {
  std::string all{flag, 0, 0, static_cast<char>(bytes.size() >> 8), static_cast<char>(bytes.size())};
  return all + bytes;
}

void connections(Corpus& corpus) {
  const auto talk = [&](char head, const std::function<void(Client&)>& what) {
    Client client;
    what(client);
    corpus.add("connections", head + client.sent);
  };
  const std::string zipped("\x78\x9c\x4b\x04\x00\x00\x62\x00\x62", 9);  // "a"
  for (const char head : {'\x05', '\x7f'}) {
    talk(head, [](Client& client) {
      client.call("/s/Echo", message("hello"), {{"grpc-timeout", "5S"}, {"x", "y"}});
      client.call("/s/Fail", message(""));
      client.ping();
      client.call("/s/Much", message("m"));
    });
  }
  talk('\x7e', [&](Client& client) {
    client.call("/s/Echo", message(zipped, 1), {{"grpc-encoding", "deflate"}});
    client.call("/s/Echo", message("broken", 1), {{"grpc-encoding", "gzip"}});
    client.call("/s/Echo", message("x", 1), {{"grpc-encoding", "br"}});
    client.call("/s/Echo", message("x") + message("y"));
    client.call("/s/Echo", "");
    client.call("/s/Echo", message("cut off").substr(0, 8));
    client.call("/s/Echo", std::string("\0\x7f\0\0\0", 5) + "x");
  });
  talk('\x7f', [](Client& client) {
    client.call("/s/Wait", message("w"), {{"grpc-timeout", "1m"}});
    client.reset(client.call("/s/Wait", message("w")));
    client.call("/s/Wait", message("w"), {{"grpc-timeout", "soon"}});
    client.call("/s/None", message("w"));
    client.call("/s/Echo", "", {}, "GET");
    client.call("/s/Echo", "", {}, "POST", "text/plain");
    for (int i = 0; i < 8; ++i) client.call("/s/Wait", message("w"));
  });
  talk('\x7e', [](Client& client) {
    client.call("/grpc.health.v1.Health/Check", message(""));
    client.call("/grpc.health.v1.Health/Check", message("\x0a\x01s"));
    client.call("/grpc.health.v1.Health/Check", message("\x0a\x04none"));
    client.call("/grpc.health.v1.Health/Watch", message("\x0a\x01s"));
    const std::string service = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    client.call(service, message(std::string("\x3a\x00", 2)) + message("\x22\x01s"));
    client.call(service, message("\x1a\x1fgoogle/protobuf/timestamp.proto!"));
    client.call(service, message("\x22\x19google.protobuf.Timestamp"));
    client.call(service, message("\x2a\x08\x0a\x04none\x10\x01") + message("\x32\x04none") + message("bad"));
  });
  corpus.add("connections", "\x7fGET / HTTP/1.1\r\n\r\n");
}

// ---- texts

void texts(Corpus& corpus) {
  each_line("list_filters.txt", [&](const std::string& line) {
    corpus.add("list_filters", std::string(1, line[0] == 'c' ? 1 : 0) + line.substr(2));
  });
  each_line("payloads.txt", [&](const std::string& line) {
    corpus.add("payloads", std::string(1, static_cast<char>(line[0] - '0')) + line.substr(2));
  });
  for (const char* failure :
       {"message: 'm' application_failure_info { type: 'T' non_retryable: true details { payloads { data: "
        "'1' } } }",
        "message: 'm' cause { message: 'n' timeout_failure_info { timeout_type: 3 last_heartbeat_details { } "
        "} } stack_trace: 's'",
        "message: 'm' activity_failure_info { activity_id: 'a' retry_state: 5 } cause { "
        "canceled_failure_info { details { } } }",
        "child_workflow_execution_failure_info { namespace: 'n' workflow_execution { workflow_id: 'w' } } "
        "cause { terminated_failure_info { } }",
        "server_failure_info { non_retryable: true }", "reset_workflow_failure_info { }",
        "nexus_operation_execution_failure_info { }",
        "encoded_attributes { metadata { key: 'encoding' value: 'json/plain' } "
        "data: '{\"message\":\"x\",\"stack_trace\":\"y\"}' }"}) {
    corpus.add("payloads", "\x06" + from_text<temporal::api::failure::v1::Failure>(failure));
  }
  std::string toml;
  const auto end = [&] { corpus.add("configurations", std::exchange(toml, {})); };
  each_line("configurations.txt", [&](const std::string& line) {
    if (line == "----") return end();
    toml += line + "\n";
  });
  end();
}

}  // namespace
}  // namespace perdure::fuzz

int main(int count, char** arguments) {
  CHECK(count == 2);
  perdure::fuzz::Corpus corpus(arguments[1]);
  perdure::fuzz::requests(corpus);
  perdure::fuzz::tokens(corpus);
  perdure::fuzz::log_records(corpus);
  perdure::fuzz::database_pages(corpus);
  perdure::fuzz::histories_of_everything(corpus);
  perdure::fuzz::histories_of_examples(corpus);
  perdure::fuzz::connections(corpus);
  perdure::fuzz::texts(corpus);
}
