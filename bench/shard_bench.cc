// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include "shard_bench.hh"

#include <pthread.h>
#include <sched.h>

#include <stdexcept>
#include <thread>

#include <atoll/sharding/runtime.hh>

namespace bench {

void run_on_processor(unsigned cpu) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(cpu, &mask);
  ::pthread_setaffinity_np(::pthread_self(), sizeof mask, &mask);
}

double on_bare_thread(const std::function<double()>& f) {
  double figure = 0;
  std::thread thread([&] {
    run_on_processor(0);
    figure = f();
  });
  thread.join();
  return figure;
}

namespace {

atoll::future<int> run_work(double& figure, const std::function<atoll::future<double>()>& work) {
  figure = co_await work();
  co_return 0;
}

}  // namespace

double in_runtime(const shards_of_bench& shards, const std::function<atoll::future<double>()>& work) {
  double figure = 0;
  const auto main = [&figure, &work] { return run_work(figure, work); };
  const auto code =
      atoll::runtime::run({.shards = shards.count, .spin_for = shards.spin_for, .stall_threshold = {}}, main);
  if (!code) throw std::runtime_error(code.error().to_string());
  return figure;
}

}  // namespace bench
