#include "bench/address.h"

#include <arpa/inet.h>

#include <charconv>

namespace perdure::bench {

base::Result<sockaddr_in> numeric_address(const std::string& address) {
  const auto colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  std::uint16_t port = 0;
  if (colon != std::string::npos)
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  if (port == 0 || inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) != 1) {
    return base::invalid_argument("not a numeric IPv4 address and port: " + address);
  }
  to.sin_port = htons(port);
  return to;
}

}  // namespace perdure::bench
