// Runs the workflow and the activity of loan.h until SIGINT or SIGTERM.
#include <unistd.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <perdure/worker.h>

#include "examples/loan_application/cpp/loan.h"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

std::string notify_applicant(std::string applicant) {
  const char* given = std::getenv("NOTIFICATION_URL");
  std::string url = given ? given : "http://127.0.0.1:8099/notify";
  url.erase(0, std::string("http://").size());
  const std::size_t colon = url.find(':'), slash = url.find('/');
  const std::string host = url.substr(0, colon), port = url.substr(colon + 1, slash - colon - 1);

  asio::io_context io;
  boost::beast::tcp_stream stream(io);
  stream.connect(asio::ip::tcp::resolver(io).resolve(host, port));
  http::request<http::string_body> request(http::verb::post, url.substr(slash), 11);
  request.set(http::field::host, host);
  request.body() = "{\"applicant\": \"" + applicant + "\"}";
  request.prepare_payload();
  http::write(stream, request);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(stream, buffer, response);
  if (response.result() != http::status::ok)
    throw std::runtime_error("the notification service answered " + std::to_string(response.result_int()));
  return applicant;
}

}  // namespace

int main() {
  const std::stop_token stop = perdure::stop_on_signals();
  perdure::Worker worker(perdure::Client::connect(), {.task_queue = loan::kTaskQueue});
  worker.add<loan::LoanApplication>();
  worker.add<&loan::notify_applicant>(&notify_applicant);
  std::printf("worker %d polls %s\n", getpid(), loan::kTaskQueue);
  std::fflush(stdout);
  worker.run(stop);
}
