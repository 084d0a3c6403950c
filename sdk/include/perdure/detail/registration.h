// How workflows are known to a worker: a definition makes an instance for each run, an instance finds its
// handlers by name.
//
// Instances live on the thread of their run. Users do not name anything here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <perdure/workflow.h>

namespace perdure {
inline namespace v1 {

// Exceptions besides Failure that fail the workflow: using failure_types = exceptions<std::runtime_error>;
template <class... E>
struct exceptions {
  static bool contain(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (...) {
      return (is_a<E>(std::current_exception()) || ...);
    }
  }

 private:
  template <class X>
  static bool is_a(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const X&) {
      return true;
    } catch (...) {
      return false;
    }
  }
};

namespace detail {

// A handler's code, to be run as a strand.
template <class T>
struct HandlerCall {
  std::optional<Task<T>> task;
  bool abandonable = false;
};

struct WorkflowInstance {
  virtual ~WorkflowInstance() = default;
  virtual Task<Payload> run(Context ctx, Payloads arguments) = 0;
  // False: it has no such handler. Throws PayloadError when the arguments do not fit, and for a validator
  // what it threw.
  virtual bool signal(std::string_view name, Context ctx, const Payloads& arguments,
                      HandlerCall<void>& out) = 0;
  virtual bool query(std::string_view name, ReadContext ctx, const Payloads& arguments, Payload& out) = 0;
  virtual bool update(std::string_view name, Context ctx, const Payloads& arguments, bool validate,
                      HandlerCall<Payload>& out) = 0;
  virtual std::vector<std::string_view> signal_names() const = 0;
  virtual std::vector<std::string_view> query_names() const = 0;
  virtual std::vector<std::string_view> update_names() const = 0;
  virtual bool fails_workflow(const std::exception_ptr& error) const = 0;  // one that is no Failure
};

struct WorkflowDefinition {
  std::string name;  // empty: of any type that has no other
  std::function<std::unique_ptr<WorkflowInstance>(Context, const Payloads&)> make;
  Versioning versioning = Versioning::kUnspecified;
};

template <class T>
Task<Payload> encoded(Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    co_return encode_nothing();
  } else {
    T value = co_await std::move(task);
    co_return encode<T>(value);
  }
}

// Calls a member with the context that it wants, if any.
template <auto M, class Object, class Ctx>
typename Callee<M>::raw call_member(Object& derived, Ctx ctx, typename Callee<M>::args arguments) {
  // or what it inherits the member from; g++ 12 warns without the conversion
  using Owner = typename Callee<M>::cls;
  std::conditional_t<std::is_const_v<Object>, const Owner, Owner>& object = derived;
  return std::apply(
      [&](auto&... each) -> typename Callee<M>::raw {
        if constexpr (std::is_void_v<typename Callee<M>::context>) {
          return (object.*M)(std::move(each)...);
        } else {
          return (object.*M)(typename Callee<M>::context(ctx), std::move(each)...);
        }
      },
      arguments);
}
template <auto M>
typename Callee<M>::args arguments_of(const Payloads& payloads) {
  return ArgumentList<typename Callee<M>::args>::decode_all(payloads);
}

// A handler that is no coroutine, as one.
template <auto M, class Object>
Task<typename Callee<M>::ret> plain_handler(Object* object, Context ctx, typename Callee<M>::args arguments) {
  if constexpr (std::is_void_v<typename Callee<M>::ret>) {
    call_member<M>(*object, ctx, std::move(arguments));
    co_return;
  } else {
    co_return call_member<M>(*object, ctx, std::move(arguments));
  }
}
template <auto E>
auto handler_arguments(std::string_view name, const Payloads& payloads) {
  static constexpr auto member = pointer_of<E>();
  if constexpr (is_dynamic<E>) {
    static_assert(std::is_same_v<typename Callee<member>::args, std::tuple<std::string, Payloads>>,
                  "perdure: a dynamic handler takes (std::string name, Payloads arguments)");
    return std::tuple<std::string, Payloads>(name, payloads);
  } else {
    return arguments_of<member>(payloads);
  }
}
template <auto E, class Object>
Task<typename Callee<pointer_of<E>()>::ret> handler_task(Object& object, std::string_view name, Context ctx,
                                                         const Payloads& payloads) {
  static constexpr auto member = pointer_of<E>();
  if constexpr (is_task<typename Callee<member>::raw>) {
    return call_member<member>(object, ctx, handler_arguments<E>(name, payloads));
  } else {
    return plain_handler<member>(&object, ctx, handler_arguments<E>(name, payloads));
  }
}

template <class List>
struct HandlerTable;
template <auto... E>
struct HandlerTable<handlers<E...>> {
  template <class F>
  static bool find(std::string_view name, F use) {
    return (one<E, false>(name, use) || ...) || (one<E, true>(name, use) || ...);
  }
  // Without the dynamic ones.
  static std::vector<std::string_view> names() {
    std::vector<std::string_view> all;
    ((is_dynamic<E> ? void() : all.push_back(entry_name<E>())), ...);
    return all;
  }

 private:
  template <auto X, bool kDynamic, class F>
  static bool one(std::string_view name, F& use) {
    if constexpr (is_dynamic<X> == kDynamic) {
      if (kDynamic || entry_name<X>() == name) {
        use(std::integral_constant<decltype(X), X>{});
        return true;
      }
    }
    return false;
  }
};

template <class W>
concept HasSignals = requires { typename W::signals; };
template <class W>
concept HasQueries = requires { typename W::queries; };
template <class W>
concept HasUpdates = requires { typename W::updates; };

template <class W, class Args>
inline constexpr bool constructed_from = false;
template <class W, class... A>
inline constexpr bool constructed_from<W, std::tuple<A...>> =
    sizeof...(A) > 0 && std::is_constructible_v<W, A...>;

// The arguments of run; of a dynamic workflow all payloads as they came.
template <auto R, bool kDynamic>
typename Callee<R>::args run_arguments(const Payloads& payloads) {
  if constexpr (kDynamic) {
    static_assert(std::is_same_v<typename Callee<R>::args, std::tuple<Payloads>>,
                  "perdure: a dynamic workflow takes (Context, Payloads)");
    return std::tuple<Payloads>(payloads);
  } else {
    return arguments_of<R>(payloads);
  }
}

template <class W, bool kDynamic = false>
struct ClassInstance final : WorkflowInstance {
  explicit ClassInstance(const Payloads& arguments) : object(make(arguments)) {}
  W object;

  Task<Payload> run(Context ctx, Payloads arguments) override {
    return encoded(call_member<&W::run>(object, ctx, run_arguments<&W::run, kDynamic>(arguments)));
  }
  bool signal(std::string_view name, Context ctx, const Payloads& arguments,
              HandlerCall<void>& out) override {
    if constexpr (HasSignals<W>) {
      return HandlerTable<typename W::signals>::find(name, [&](auto entry) {
        static_assert(std::is_void_v<typename Callee<pointer_of<entry.value>()>::ret>,
                      "perdure: a signal handler returns void or Task<>");
        out.task.emplace(handler_task<entry.value>(object, name, ctx, arguments));
        out.abandonable = is_abandonable<entry.value>;
      });
    }
    return false;
  }
  bool query(std::string_view name, ReadContext ctx, const Payloads& arguments, Payload& out) override {
    if constexpr (HasQueries<W>) {
      return HandlerTable<typename W::queries>::find(name, [&](auto entry) {
        static constexpr auto member = pointer_of<entry.value>();
        static_assert(!is_task<typename Callee<member>::raw>, "perdure: a query is const and no coroutine");
        const W& looked_at = object;
        out = encode<typename Callee<member>::raw>(
            call_member<member>(looked_at, ctx, handler_arguments<entry.value>(name, arguments)));
      });
    }
    return false;
  }
  bool update(std::string_view name, Context ctx, const Payloads& arguments, bool validate,
              HandlerCall<Payload>& out) override {
    if constexpr (HasUpdates<W>) {
      return HandlerTable<typename W::updates>::find(name, [&](auto entry) {
        static constexpr auto validator = validator_of<entry.value>();
        if constexpr (!std::is_same_v<std::remove_cv_t<decltype(validator)>, std::nullptr_t>) {
          if (validate) {
            const W& looked_at = object;
            if constexpr (is_dynamic<entry.value>) {
              call_member<validator>(looked_at, ReadContext(ctx.run()),
                                     std::tuple<std::string, Payloads>(name, arguments));
            } else {
              call_member<validator>(looked_at, ReadContext(ctx.run()), arguments_of<validator>(arguments));
            }
          }
        }
        out.task.emplace(encoded(handler_task<entry.value>(object, name, ctx, arguments)));
        out.abandonable = is_abandonable<entry.value>;
      });
    }
    return false;
  }
  std::vector<std::string_view> signal_names() const override {
    if constexpr (HasSignals<W>) {
      return HandlerTable<typename W::signals>::names();
    } else {
      return {};
    }
  }
  std::vector<std::string_view> query_names() const override {
    if constexpr (HasQueries<W>) {
      return HandlerTable<typename W::queries>::names();
    } else {
      return {};
    }
  }
  std::vector<std::string_view> update_names() const override {
    if constexpr (HasUpdates<W>) {
      return HandlerTable<typename W::updates>::names();
    } else {
      return {};
    }
  }
  bool fails_workflow(const std::exception_ptr& error) const override {
    if constexpr (requires { typename W::failure_types; }) {
      return W::failure_types::contain(error);
    } else {
      return false;
    }
  }

 private:
  // W(Args...) with run's arguments if that exists, else W().
  static W make(const Payloads& arguments) {
    using Args = typename Callee<&W::run>::args;
    if constexpr (constructed_from<W, Args>) {
      return std::make_from_tuple<W>(run_arguments<&W::run, kDynamic>(arguments));
    } else {
      static_assert(
          std::is_default_constructible_v<W>,
          "perdure: a workflow class needs a default constructor, or one that takes run's arguments");
      return W();
    }
  }
};

template <auto F, bool kDynamic = false>
struct FunctionInstance final : WorkflowInstance {
  Task<Payload> run(Context ctx, Payloads arguments) override {
    return encoded(std::apply([&](auto&... each) { return F(ctx, std::move(each)...); },
                              *(decoded = run_arguments<F, kDynamic>(arguments))));
  }
  bool signal(std::string_view, Context, const Payloads&, HandlerCall<void>&) override { return false; }
  bool query(std::string_view, ReadContext, const Payloads&, Payload&) override { return false; }
  bool update(std::string_view, Context, const Payloads&, bool, HandlerCall<Payload>&) override {
    return false;
  }
  std::vector<std::string_view> signal_names() const override { return {}; }
  std::vector<std::string_view> query_names() const override { return {}; }
  std::vector<std::string_view> update_names() const override { return {}; }
  bool fails_workflow(const std::exception_ptr&) const override { return false; }
  std::optional<typename Callee<F>::args> decoded;
};

template <class W, bool kDynamic>
WorkflowDefinition define_class(std::string name) {
  WorkflowDefinition definition{std::move(name), [](Context, const Payloads& arguments) {
                                  return std::make_unique<ClassInstance<W, kDynamic>>(arguments);
                                }};
  if constexpr (requires { W::versioning; }) definition.versioning = W::versioning;
  return definition;
}
template <auto F, bool kDynamic>
WorkflowDefinition define_function(std::string name) {
  static_assert(std::is_same_v<typename Callee<F>::context, Context>,
                "perdure: a function workflow is Task<R>(Context, Args...)");
  return {std::move(name),
          [](Context, const Payloads&) { return std::make_unique<FunctionInstance<F, kDynamic>>(); }};
}
template <class W>
WorkflowDefinition define_workflow() {
  return define_class<W, false>(std::string(workflow_name_of<W>()));
}
template <auto F>
WorkflowDefinition define_workflow() {
  return define_function<F, false>(std::string(name_of<F>()));
}
// Of every type that has no definition of its own.
template <class W>
WorkflowDefinition define_dynamic() {
  return define_class<W, true>({});
}
template <auto F>
WorkflowDefinition define_dynamic() {
  return define_function<F, true>({});
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
