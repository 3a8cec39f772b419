// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a service's calls cost beside barer ones, to the other shard, 64 outstanding; ns a call. service.call: a typed
// call; submit_to of a function. /deadline: a call with one; without. /key: a call by key; by shard. /keyed: a message
// to one of 64 active actors; a call by shard.
#include <string>

#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>

#include "bench.hh"

namespace bench {
namespace {

constexpr std::uint64_t outstanding = 64;
constexpr std::uint64_t calls_each = 30'000;

class adder {
 public:
  atoll::future<std::uint64_t> add(std::uint64_t a, std::uint64_t b) {
    return atoll::make_ready_future<std::uint64_t>(a + b);
  }
};
ATOLL_SERVICE(adder, "bench.Adder", ATOLL_METHOD(add, key(a), b));

class sum : public atoll::actor<sum, std::uint64_t> {
 public:
  atoll::future<std::uint64_t> add(std::uint64_t by) { return atoll::make_ready_future<std::uint64_t>(sum_ += by); }

 private:
  std::uint64_t sum_ = 0;
};
ATOLL_SERVICE(sum, "bench.Sum", ATOLL_METHOD(add, by));

/// A key that the other shard owns: the n-th.
std::uint64_t key_of_the_other(std::uint64_t n) {
  std::uint64_t key = 0;
  while (atoll::shard_of_hash(atoll::key_hash(key), 2) != 1 || n-- > 0) ++key;
  return key;
}

template <class Call>
atoll::future<> call_often(Call call, std::uint64_t caller) {
  for (std::uint64_t i = 0; i < calls_each; ++i) static_cast<void>(co_await call(caller));
}

/// ns a call of what `call(number of the caller)` makes.
template <class Call>
atoll::future<double> measured(Call call) {
  for (std::uint64_t i = 0; i < outstanding; ++i) static_cast<void>(co_await call(i));  // warm
  const auto begin = atoll::mono_now();
  std::vector<atoll::future<>> callers;
  for (std::uint64_t i = 0; i < outstanding; ++i) callers.push_back(call_often(call, i));
  for (auto& each : callers) co_await std::move(each);
  co_return static_cast<double>((atoll::mono_now() - begin).count()) / static_cast<double>(outstanding * calls_each);
}

enum class kind { by_function, by_shard, with_deadline, by_key, by_actor };

atoll::future<int> run_kind(kind which, double& ns) {
  atoll::sharded<adder> adders;
  co_await adders.start();
  atoll::keyed<sum> sums;
  co_await sums.start();
  const auto other = adders.at(1);
  const auto bounded = other.within(std::chrono::seconds(10));
  const auto all = adders.ref();
  std::vector<std::uint64_t> keys;
  std::vector<atoll::actor_ref<sum>> actors;
  for (std::uint64_t i = 0; i < outstanding; ++i) {
    keys.push_back(key_of_the_other(i));
    actors.push_back(sums.at(keys.back()));
  }
  switch (which) {
    case kind::by_function: {
      const auto call = [](std::uint64_t i) { return atoll::submit_to(1, [i] { return i + 1; }); };
      ns = co_await measured(call);
      break;
    }
    case kind::by_shard: {
      const auto call = [other](std::uint64_t i) { return other.add(i, 1); };
      ns = co_await measured(call);
      break;
    }
    case kind::with_deadline: {
      const auto call = [bounded](std::uint64_t i) { return bounded.add(i, 1); };
      ns = co_await measured(call);
      break;
    }
    case kind::by_key: {
      const auto call = [all, &keys](std::uint64_t i) { return all.add(keys[i], 1); };
      ns = co_await measured(call);
      break;
    }
    case kind::by_actor: {
      const auto call = [&actors](std::uint64_t i) { return actors[i].add(1); };
      ns = co_await measured(call);
      break;
    }
  }
  co_await sums.stop();
  co_await adders.stop();
  co_return 0;
}

double ns_of(kind which) {
  double ns = 0;
  const auto main = [which, &ns] { return run_kind(which, ns); };
  static_cast<void>(atoll::runtime::run({.shards = 2}, main).value());
  return ns;
}

benchmark beside(std::string name, kind which, kind barer, double most) {
  return {std::move(name), "ns",
          [which, barer] {
            const double limit = ns_of(barer);
            return pair{ns_of(which), limit};
          },
          ratio_at_most(most)};
}

}  // namespace

std::vector<benchmark> service_benches() {
  return {beside("service.call", kind::by_shard, kind::by_function, 1.15),
          beside("service.call/deadline", kind::with_deadline, kind::by_shard, 1.05),
          beside("service.call/key", kind::by_key, kind::by_shard, 1.1),
          beside("service.call/keyed", kind::by_actor, kind::by_shard, 1.5)};
}

}  // namespace bench
