// A callable that is owned: what std::function is, without the header that it comes in. Moved only.
#pragma once

#include <type_traits>
#include <utility>

namespace perdure {
inline namespace v1 {
namespace detail {

template <class Signature>
class Function;
template <class R, class... A>
class Function<R(A...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Function>)
  Function(F&& function) : callee_(new Holder<std::remove_cvref_t<F>>(std::forward<F>(function))) {}
  Function(Function&& other) noexcept : callee_(std::exchange(other.callee_, nullptr)) {}
  Function& operator=(Function&& other) noexcept {
    std::swap(callee_, other.callee_);
    return *this;
  }
  ~Function() { delete callee_; }
  R operator()(A... arguments) const { return callee_->call(std::forward<A>(arguments)...); }

 private:
  struct Callee {
    virtual ~Callee() = default;
    virtual R call(A... arguments) = 0;
  };
  template <class F>
  struct Holder final : Callee {
    template <class G>
    explicit Holder(G&& from) : function(std::forward<G>(from)) {}
    R call(A... arguments) override { return function(std::forward<A>(arguments)...); }
    F function;
  };
  Callee* callee_;
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
