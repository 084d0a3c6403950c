// Prints the options that the environment gives a client, as JSON; ends with status 1 where there are none.
#include <cstdio>

#include <perdure/client.h>

namespace {

struct Printed {
  std::string address, api_key;
  bool tls = false;
  std::string name, ca, certificate, key;
  std::map<std::string, std::string> metadata;
};

}  // namespace

int main() {
  try {
    const auto options = perdure::ClientOptions::from_environment();
    const Printed printed{
        options.address,         options.api_key,       options.tls.value_or(!options.api_key.empty()),
        options.tls_server_name, options.tls_server_ca, options.tls_certificate,
        options.tls_key,         options.grpc_metadata};
    std::string json = perdure::detail::encode(printed).data;
    json.back() = ',';
    json += "\"namespace\":" + perdure::detail::encode(options.ns).data + "}";
    std::puts(json.c_str());
  } catch (const perdure::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
