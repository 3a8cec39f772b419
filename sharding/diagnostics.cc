// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/diagnostics.hh>

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/sharding/offload.hh>
#include <atoll/sharding/signals.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace {

metrics_snapshot collect_here() {
  const auto* registry = shard_metrics();
  return registry == nullptr ? metrics_snapshot{} : registry->collect();
}

void write_to_stderr(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Asks all shards at once; what each gave, in their order.
template <class F>
auto ask_everyone(duration within, F ask) -> future<std::vector<result<std::invoke_result_t<F&>>>> {
  using R = std::invoke_result_t<F&>;
  std::vector<future<R>> asked;
  for (shard_id s = 0; s < shard_count(); ++s) {
    asked.push_back(with_timeout(within, [s, ask] { return submit_to(s, ask); }));
  }
  std::vector<result<R>> answers;
  for (auto& each : asked) answers.push_back(co_await as_result(std::move(each)));
  co_return answers;
}

}  // namespace

future<std::string> dump_tasks_everywhere(diagnostics_options options) {
  const auto dump_here = [limits = options.limits] { return dump_tasks(limits); };
  const auto dumps = co_await ask_everyone(options.answer_within, dump_here);
  std::string all;
  for (shard_id s = 0; s < dumps.size(); ++s) {
    all += dumps[s] ? *dumps[s] : fmt::format("shard {}: no answer: {}\n", s, dumps[s].error().to_string());
  }
  co_return all;
}

future<std::vector<metrics_snapshot>> collect_metrics(duration answer_within) {
  auto answers = co_await ask_everyone(answer_within, &collect_here);
  std::vector<metrics_snapshot> all;
  for (auto& answer : answers) {
    if (answer) all.push_back(*std::move(answer));
  }
  const auto missing = static_cast<double>(answers.size() - all.size());
  if (all.empty()) all.push_back({.shard = this_shard_id(), .families = {}});
  // By name, as the rest of it.
  auto& families = all.front().families;
  const std::string name = "atoll_shards_unanswered";
  const auto place = std::ranges::lower_bound(families, name, {}, &metric_family::name);
  families.insert(
      place,
      {name, "Shards whose metrics are missing: they did not answer in time.", metric_kind::gauge, {{{}, missing}}});
  co_return all;
}

future<std::string> render_metrics(prometheus_options options) {
  auto all = co_await collect_metrics();
  auto render = [all = std::move(all), options] { return render_prometheus(all, options); };
  co_return co_await offload(std::move(render));
}

namespace detail {

future<> dump_tasks_at(int signal) {
  while (true) {
    const auto came = co_await as_result(next_signal(signal));
    if (!came) co_return;
    const auto text = co_await as_result(dump_tasks_everywhere());
    if (text) write_to_stderr(*text);
  }
}

}  // namespace detail
}  // namespace atoll_root::atoll
