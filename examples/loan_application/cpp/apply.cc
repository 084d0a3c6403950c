// Starts one loan application and waits for its result: apply [APPLICANT]
#include <cstdio>
#include <string>

#include <perdure/client.h>

#include "examples/loan_application/cpp/loan.h"

int main(int count, char** arguments) {
  const std::string applicant = count > 1 ? arguments[1] : "Ada";
  perdure::Client client = perdure::Client::connect();
  auto handle = client.start<loan::LoanApplication>(
      {.id = "loan-" + applicant, .task_queue = loan::kTaskQueue}, applicant);
  std::printf("started %s, run %s\n", handle.id().c_str(), handle.run_id().c_str());
  std::fflush(stdout);
  std::puts(handle.result().c_str());
}
