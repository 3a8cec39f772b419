// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The arguments and results of methods as the RPC server and the gateway read them, and the keys that route calls.
#include <atoll/rpc/binding.hh>

#include "round_trip.hh"

namespace demo {

struct hit {
  std::string name;
  std::int64_t total = 0;
};
ATOLL_MESSAGE(hit, name, total);

class store {
 public:
  atoll::future<std::int64_t> add(std::string, std::int64_t by) { return atoll::make_ready_future<std::int64_t>(by); }
  atoll::future<hit> read(std::optional<bool>, std::int16_t) { return atoll::make_ready_future<hit>(); }
  atoll::future<> put(std::vector<hit>, atoll::bytes, std::map<std::string, std::int32_t>) {
    return atoll::make_ready_future();
  }
  atoll::future<std::vector<double>> all() { return atoll::make_ready_future<std::vector<double>>(); }
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(add, key(name), by), ATOLL_METHOD(read, exact, key(number)),
              ATOLL_METHOD(put, hits, key(place), counts), ATOLL_METHOD(all));

}  // namespace demo

namespace {

using atoll::method_traits;
namespace detail = atoll::detail;

template <class Tag>
std::string encode(const typename method_traits<Tag>::arguments& arguments) {
  std::string encoded;
  ATOLL_ASSERT(!detail::encode_arguments<Tag>(encoded, arguments), "arguments that came can be sent on");
  return encoded;
}

template <class Tag>
void check_key(std::string_view request, const atoll::method_binding& method,
               const typename method_traits<Tag>::arguments* arguments) {
  if constexpr (method_traits<Tag>::key == atoll::no_key) {
    ATOLL_ASSERT(method.key == nullptr, "a method without a key gives none");
  } else {
    const auto hash = method.key(request);
    if (arguments == nullptr) return;  // which may be for the sake of another field
    ATOLL_ASSERT(hash, "arguments that can be decoded have a key");
    ATOLL_ASSERT(*hash == atoll::key_hash(std::get<method_traits<Tag>::key>(*arguments)),
                 "a call is routed by the key that the method will see");
  }
}

template <class Tag>
void check_arguments(std::string_view request, const atoll::method_binding& method) {
  typename method_traits<Tag>::arguments arguments;
  if (const auto refused = detail::decode_arguments<Tag>(request, arguments)) {
    ATOLL_ASSERT(refused->code() == atoll::status_code::invalid_argument, "a bad request is an invalid argument");
    return check_key<Tag>(request, method, nullptr);
  }
  check_key<Tag>(request, method, &arguments);
  const std::string once = encode<Tag>(arguments);
  typename method_traits<Tag>::arguments again;
  ATOLL_ASSERT(!detail::decode_arguments<Tag>(once, again), "what was encoded can be decoded");
  ATOLL_ASSERT(encode<Tag>(again) == once, "decoding and encoding gives the same bytes");
}

template <class Tag>
void check_reply(std::string_view reply) {
  using R = typename method_traits<Tag>::result;
  if constexpr (!std::is_void_v<R>) {
    auto value = detail::decode_reply<R>(reply, Tag::name);
    if (!value) return;
    std::string once;
    ATOLL_ASSERT(!detail::encode_reply(once, Tag::name, *value), "a result that came can be sent on");
    auto again = detail::decode_reply<R>(once, Tag::name);
    ATOLL_ASSERT(again, "what was encoded can be decoded");
    std::string twice;
    ATOLL_ASSERT(!detail::encode_reply(twice, Tag::name, *again), "and encoded again");
    ATOLL_ASSERT(twice == once, "decoding and encoding gives the same bytes");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static atoll::service_core core({.name = "demo.v1.Store"}, 4);  // never started: nothing is called here
  static const auto binding = atoll::bind(atoll::sharded_ref<demo::store>(core));
  const auto input = fuzz::view(data, size);
  std::size_t method = 0;
  atoll::for_each_method<demo::store>([&]<class Tag>(Tag) {
    check_arguments<Tag>(input, binding->methods[method++]);
    check_reply<Tag>(input);
  });
  return 0;
}
