// The vocabulary that every public header of the SDK shares: time, text of options, names and signatures read
// from pointers.
//
// Nothing here is for users to name, except Text and Duration. No I/O, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

// Durations and clocks only: calendars, which libstdc++ cannot have without the streams, would be a quarter of
// what this header and all of workflow.h cost to compile.
#if defined(__GLIBCXX__) && __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif

#if !defined(__cpp_exceptions) || !defined(__cpp_rtti)
#error \
    "Perdure needs exceptions and RTTI: failures travel as exceptions; build without -fno-exceptions and -fno-rtti"
#endif

namespace perdure {
inline namespace v1 {

using namespace std::chrono_literals;
using Duration = std::chrono::milliseconds;
using TimePoint = std::chrono::system_clock::time_point;

// A view for fields of option structs that cannot be made from a temporary string, so that naming the options
// first is safe.
class Text {
 public:
  constexpr Text() = default;
  constexpr Text(const char* text) : view_(text) {}
  constexpr Text(std::string_view text) : view_(text) {}
  Text(const std::string& text) : view_(text) {}
  Text(std::string&&) = delete;
  constexpr std::string_view view() const { return view_; }
  constexpr bool empty() const { return view_.empty(); }
  std::string str() const { return std::string(view_); }

 private:
  std::string_view view_{};
};

// Code that lives elsewhere (another language) or under another name: inline constexpr
// Activity<int(std::string)> f{"F"}; &f.
template <class Signature>
struct Activity;
template <class R, class... A>
struct Activity<R(A...)> {
  const char* name;
};
template <class Signature>
struct WorkflowType;
template <class R, class... A>
struct WorkflowType<R(A...)> {
  const char* name;
};

class ActivityContext;
template <class R>
class Completion;
class Context;
class ReadContext;
template <class T = void>
class Task;
template <class T>
class Future;

namespace detail {

template <std::size_t N>
struct FixedString {
  char text[N]{};
  constexpr FixedString(const char (&from)[N]) {
    for (std::size_t i = 0; i < N; ++i) text[i] = from[i];
  }
  constexpr std::string_view view() const { return {text, N - 1}; }
};

struct Unit {};
template <class T>
using Slot = std::conditional_t<std::is_void_v<T>, Unit, T>;

// ---- names, from what the compiler calls a template's argument

template <auto P>
constexpr std::string_view pretty() {
  return __PRETTY_FUNCTION__;
}
template <class P>
constexpr std::string_view pretty_type() {
  return __PRETTY_FUNCTION__;
}
constexpr std::string_view last_name(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == text.npos) return {};
  text.remove_prefix(at + key.size());
  text = text.substr(0, text.find_first_of(";]"));
  if (const std::size_t scope = text.rfind("::"); scope != text.npos) text.remove_prefix(scope + 2);
  if (!text.empty() && text.front() == '&') text.remove_prefix(1);
  return text;
}
constexpr bool is_identifier(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
      return false;
  }
  return true;
}
template <auto F>
constexpr std::string_view name_of() {
  if constexpr (requires { F->name; }) {
    return F->name;
  } else {
    constexpr auto name = last_name(pretty<F>(), "P = ");
    static_assert(is_identifier(name),
                  "perdure: no portable name for this function (a template or operator?); "
                  "declare an Activity<Sig>{\"Name\"} for it");
    return name;
  }
}
template <class W>
constexpr std::string_view workflow_name_of() {
  if constexpr (requires { W::workflow_name; }) {
    return W::workflow_name;
  } else {
    constexpr auto name = last_name(pretty_type<W>(), "P = ");
    static_assert(is_identifier(name),
                  "perdure: no portable name for this class; give it a static constexpr std::string_view "
                  "workflow_name");
    return name;
  }
}

// ---- signatures of functions, members and descriptors

template <class F>
struct Signature;
template <class R, class... A>
struct Signature<R (*)(A...)> {
  using cls = void;
  using ret = R;
  using args = std::tuple<A...>;
};
template <class R, class... A>
struct Signature<R (*)(A...) noexcept> : Signature<R (*)(A...)> {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...)> {
  using cls = C;
  using ret = R;
  using args = std::tuple<A...>;
};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...) const> : Signature<R (C::*)(A...)> {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...) noexcept> : Signature<R (C::*)(A...)> {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...) const noexcept> : Signature<R (C::*)(A...)> {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...)&> : Signature<R (C::*)(A...)> {};
template <class C, class R, class... A>
struct Signature<R (C::*)(A...) const&> : Signature<R (C::*)(A...)> {};
template <class R, class... A>
struct Signature<const Activity<R(A...)>*> {
  using cls = void;
  using ret = R;
  using args = std::tuple<A...>;
};
template <class R, class... A>
struct Signature<const WorkflowType<R(A...)>*> {
  using cls = void;
  using ret = R;
  using args = std::tuple<A...>;
};

// What a caller passes: the parameters without the optional first context.
template <class Args>
struct WithoutContext {
  using first = void;
  using args = Args;
};
template <class... A>
struct WithoutContext<std::tuple<Context, A...>> {
  using first = Context;
  using args = std::tuple<A...>;
};
template <class... A>
struct WithoutContext<std::tuple<ReadContext, A...>> {
  using first = ReadContext;
  using args = std::tuple<A...>;
};
template <class... A>
struct WithoutContext<std::tuple<ActivityContext&, A...>> {
  using first = ActivityContext;
  using args = std::tuple<A...>;
};
template <class R, class... A>
struct WithoutContext<std::tuple<Completion<R>, A...>> {
  using first = Completion<R>;
  using args = std::tuple<A...>;
};
template <class T>
struct Decayed;
template <class... A>
struct Decayed<std::tuple<A...>> {
  using type = std::tuple<std::decay_t<A>...>;
};
template <class T>
struct Unwrap {
  using type = T;
};
template <class T>
struct Unwrap<Task<T>> {
  using type = T;
};
template <class T>
struct Unwrap<Future<T>> {
  using type = T;
};
// What an activity that answers through a Completion returns in the end.
template <class First, class Raw>
struct Answer : Unwrap<Raw> {};
template <class R, class Raw>
struct Answer<Completion<R>, Raw> {
  static_assert(std::is_void_v<Raw>,
                "perdure: an activity that takes a Completion returns void and answers through it");
  using type = R;
};
template <class T>
inline constexpr bool is_completion = false;
template <class R>
inline constexpr bool is_completion<Completion<R>> = true;
template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

// A function, member or descriptor as it is called: `ret` is the value (T of Task<T>), `args` what the caller
// passes.
template <auto F>
struct Callee {
  using signature = Signature<std::remove_cv_t<decltype(F)>>;
  using cls = typename signature::cls;
  using raw = typename signature::ret;
  using context = typename WithoutContext<typename signature::args>::first;
  using ret = typename Answer<context, raw>::type;
  using args = typename Decayed<typename WithoutContext<typename signature::args>::args>::type;
};

// Implicit conversion of each argument, without narrowing.
template <class A, class P>
constexpr bool passes() {
  if constexpr (std::is_arithmetic_v<P>) {
    return requires(A&& a) { P{std::forward<A>(a)}; };
  } else {
    return std::is_convertible_v<A, P>;
  }
}
template <class Params, class... A>
inline constexpr bool args_fit = false;
template <class... P, class... A>
  requires(sizeof...(P) == sizeof...(A))
inline constexpr bool args_fit<std::tuple<P...>, A...> = (passes<A, P>() && ...);

// g++ before 13 destroys an aggregate temporary, and a closure with a destructor, twice inside a full
// expression with co_await.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
template <class A>
inline constexpr bool safe_temporary =
    std::is_lvalue_reference_v<A> || std::is_trivially_destructible_v<std::remove_cvref_t<A>> ||
    !std::is_aggregate_v<std::remove_cvref_t<A>>;
template <class F>
inline constexpr bool safe_closure =
    std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>>;
#else
template <class>
inline constexpr bool safe_temporary = true;
template <class>
inline constexpr bool safe_closure = true;
#endif

// Counted references without atomics: what they point to belongs to one run, which is on one thread at a
// time.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) ++object_->references;
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(const Ref<U>& other) : Ref(other.get()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr && --object_->references == 0) object_->release();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
