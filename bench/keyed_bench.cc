// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// keyed.active_key, keyed.left_key: the memory of a keyed actor that is active and idle, and of one that has left, by the growth of the
// process over two million keys; beside an entry of std::unordered_map for the same key and state.
#include <unistd.h>

#include <cstdio>
#include <unordered_map>

#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/runtime.hh>

#include "bench.hh"

namespace bench {
namespace {

constexpr std::uint64_t keys = 2'000'000;

class cell : public atoll::actor<cell, std::uint64_t> {
 public:
  atoll::future<std::uint64_t> add(std::uint64_t n) { return atoll::make_ready_future<std::uint64_t>(sum_ += n); }

 private:
  std::uint64_t sum_ = 0;
};
ATOLL_SERVICE(cell, "bench.Cell", ATOLL_METHOD(add, n));

/// Resident, of this process.
double process_bytes() {
  unsigned long long all = 0;
  unsigned long long resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  const int read = std::fscanf(file, "%llu %llu", &all, &resident);
  std::fclose(file);
  return read == 2 ? static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) : 0;
}

double map_entry_bytes() {
  const double before = process_bytes();
  std::unordered_map<std::uint64_t, std::uint64_t> entries;
  for (std::uint64_t key = 0; key < keys; ++key) entries[key] = key;
  return (process_bytes() - before) / static_cast<double>(keys);
}

/// Those that leave do so as soon as there is another.
atoll::future<int> measure(bool leave, double& bytes) {
  atoll::keyed<cell> cells;
  co_await cells.start({.active_max = leave ? 1'000 : 2 * keys, .memory_share = 1});
  for (std::uint64_t key = 0; key < 10'000; ++key) co_await cells.at(~key).add(1);  // what is there once
  const double before = process_bytes();
  for (std::uint64_t key = 0; key < keys; ++key) co_await cells.at(key).add(1);
  bytes = (process_bytes() - before) / static_cast<double>(keys);
  co_await cells.stop();
  co_return 0;
}

/// In a process of its own, so that what one measurement leaves is no room for the next.
template <class F>
double in_a_process(F f) {
  int ends[2];
  if (::pipe(ends) != 0) return 0;
  const auto child = ::fork();
  if (child == 0) {
    const double figure = f();
    const auto written = ::write(ends[1], &figure, sizeof(figure));
    ::_exit(written == sizeof(figure) ? 0 : 1);
  }
  double figure = 0;
  if (::read(ends[0], &figure, sizeof(figure)) != sizeof(figure)) figure = 0;
  ::close(ends[0]);
  ::close(ends[1]);
  return figure;
}

double key_bytes(bool leave) {
  return in_a_process([leave] {
    double bytes = 0;
    const auto main = [leave, &bytes] { return measure(leave, bytes); };
    static_cast<void>(atoll::runtime::run({.shards = 1}, main).value());
    return bytes;
  });
}

}  // namespace

std::vector<benchmark> keyed_benches() {
  std::vector<benchmark> all;
  for (const bool leave : {false, true}) {
    const auto both = [leave] {
      const double limit = in_a_process(&map_entry_bytes);
      return pair{key_bytes(leave), limit};
    };
    all.push_back({leave ? "keyed.left_key" : "keyed.active_key", "bytes", both, value_at_most(leave ? 1 : 128)});
  }
  return all;
}

}  // namespace bench
