// Results of functions that can fail for expected reasons: std::expected<T, Error>, never an exception across our own functions.
//
// Code is the canonical gRPC set, so an Error travels to the wire without translation. `detail` is a serialized
// google.protobuf.Any (one message of temporal.api.errordetails.v1, or empty): it becomes grpc-status-details-bin.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace perdure::base {

enum class Code : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,  // inside the server: a rule of one execution is broken; its id is quarantined
  kUnauthenticated = 16,
};

struct Error {
  Code code = Code::kUnknown;
  std::string message;
  std::string detail;  // serialized google.protobuf.Any, or empty

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(Code code, std::string message, std::string detail = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(detail)});
}
inline std::unexpected<Error> invalid_argument(std::string message) {
  return fail(Code::kInvalidArgument, std::move(message));
}

}  // namespace perdure::base

// TRY(auto x, expr): x = *expr, or returns the error. TRY_VOID(expr): returns the error, if any.
#define PERDURE_CONCAT_(a, b) a##b
#define PERDURE_CONCAT(a, b) PERDURE_CONCAT_(a, b)
#define TRY_(tmp, decl, expr)                               \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  decl = std::move(*tmp)
#define TRY(decl, expr) TRY_(PERDURE_CONCAT(try_result_, __LINE__), decl, expr)
#define TRY_VOID(expr) \
  if (auto try_status = (expr); !try_status) return std::unexpected(std::move(try_status).error())
