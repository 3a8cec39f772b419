// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a shard counts of the services it has, method by method, and exports. Internal to atoll; docs/metrics.md lists the names.
//
//   service_stats& stats = table.of("demo.v1.Counter", {"add", "read"});
//   stats.method(0).ended.add(status_code::ok);
//
// Containers of one service on one shard share their counts, which stay to the end of the shard.
// How long calls take is measured for some of them, so that reading the clock costs little (timed_calls): histograms are as if all
// had been measured.
// Shard rules: one shard's. Errors: none; what can't be exported, for want of memory, is counted all the same.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <atoll/actors/metrics/status_counts.hh>
#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

class metric_group;

/// A histogram of how long calls took. Of those that begin within some 500 us the first eight are measured, then every 64th, for
/// those since the last one: all where there are few, a sample where there are many.
class timed_calls {
 public:
  timed_calls();
  timed_calls(const timed_calls&) = delete;
  timed_calls& operator=(const timed_calls&) = delete;
  ~timed_calls();

  /// For how many calls the one that begins now stands; 0: it is not measured. `look`: the loop's last.
  std::uint32_t weigh(time_point look) noexcept {
    if (--until_next_ > 0) [[likely]]
      return 0;
    return weigh_this(look);
  }
  /// True where weigh() would give 0, which then counts as done.
  bool passes() noexcept {
    if (until_next_ <= 1) [[unlikely]]
      return false;
    --until_next_;
    return true;
  }
  /// So many of the next calls are not measured, `most` at most; that counts as done.
  std::uint32_t pass(std::uint32_t most) noexcept {
    const std::uint32_t n = std::min(most, until_next_ - 1);
    until_next_ -= n;
    return n;
  }
  /// Of those, these have not begun.
  void has_not_passed(std::uint32_t calls = 1) noexcept { until_next_ += calls; }
  /// The first one exports it, as `group`'s "seconds".
  void record(duration took, std::uint32_t weight, const metric_group& group) noexcept;

 private:
  static constexpr std::uint32_t each_of_first = 8;
  static constexpr std::uint32_t then_one_in = 64;
  static constexpr int window_bits = 19;  // of ns

  struct exported;

  std::uint32_t weigh_this(time_point look) noexcept;

  std::uint32_t until_next_ = 1;
  std::uint32_t weight_ = 1;  // of the next
  std::int64_t window_ = 0;
  std::uint32_t in_window_ = 0;
  std::unique_ptr<exported> values_;  // it is large
};

/// A method of a service on a shard.
struct method_stats {
  timed_calls timed;           // from arrival to outcome
  std::uint64_t serving = 0;   // calls that have begun and wait for something
  std::uint64_t in_queue = 0;  // calls that wait for their turn
  status_counts ended;         // calls, by outcome
};

class service_stats {
 public:
  service_stats(std::string_view service, const std::vector<std::string_view>& methods);
  service_stats(const service_stats&) = delete;
  service_stats& operator=(const service_stats&) = delete;
  ~service_stats();

  /// Stands for what is no described method.
  static constexpr std::size_t others = static_cast<std::size_t>(-1);
  [[nodiscard]] method_stats& method(std::size_t number) noexcept { return methods_[place_of(number)]; }
  /// Those of no described method, then each method's, in order.
  [[nodiscard]] method_stats* all() noexcept { return methods_.get(); }
  [[nodiscard]] std::uint64_t ended(status_code code) const noexcept;
  /// Exports what there is of slots: how many are this shard's, calls that wait for one to move and, where given, moves by outcome.
  /// The functions are asked to the end of the shard. Does nothing the second time.
  void export_slots(std::function<double()> owned, std::function<double()> waiting,
                    const std::function<std::uint64_t(status_code)>& moves);

  void took(std::size_t number, duration how_long, std::uint32_t weight) noexcept;

  /// An outcome that is not `ok`, which is exported from its first time on.
  void failed(std::size_t number, status_code code) noexcept;

 private:
  struct exported;

  [[nodiscard]] std::size_t place_of(std::size_t number) const noexcept { return number < described_ ? number + 1 : 0; }
  void export_code(std::size_t place, status_code code);

  std::string service_;
  std::size_t described_;
  std::unique_ptr<method_stats[]> methods_;  // NOLINT: sized once; the first: others
  std::unique_ptr<exported> exported_;
};

/// Those of a shard, by service.
class service_stats_table {
 public:
  /// Throws bad_alloc.
  service_stats& of(std::string_view name, const std::vector<std::string_view>& methods);

  /// Calls of all methods of all services.
  [[nodiscard]] std::uint64_t ended(status_code code) const noexcept;

 private:
  std::map<std::pair<std::string, std::size_t>, std::unique_ptr<service_stats>> all_;  // and number of methods
};

}  // namespace atoll_root::atoll
