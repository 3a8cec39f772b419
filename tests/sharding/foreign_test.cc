// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/foreign.hh>

#include <thread>
#include <vector>

#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

struct adder : atoll::task {
  adder() : atoll::task(&add) {}
  static void add(atoll::task* t) noexcept {
    auto* self = static_cast<adder*>(t);
    ++*self->sum;
    if (self->last != nullptr) self->last->set_value();
  }
  int* sum = nullptr;
  atoll::promise<>* last = nullptr;
};

ATOLL_TEST(foreign, threads_send_tasks_to_a_shard_even_while_it_sleeps) {
  constexpr int each = 1'000;
  const auto port = atoll::foreign_port::of_this_process();
  int sum = 0;
  atoll::promise<> all;
  std::vector<adder> tasks(2 * each + 1);
  for (auto& t : tasks) t.sum = &sum;
  tasks.back().last = &all;
  std::thread outside([&] {
    std::thread one([&] {
      for (std::size_t i = 0; i < each; ++i) port.send(tasks[i], 0);
    });
    for (std::size_t i = each; i < 2 * each; ++i) port.send(tasks[i], 0);
    one.join();
    port.send(tasks.back(), 0);
  });
  co_await all.get_future();
  outside.join();
  EXPECT_EQ(sum, 2 * each + 1);
}

}  // namespace
