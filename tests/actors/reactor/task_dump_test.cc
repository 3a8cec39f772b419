// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/task_dump.hh>

#include <algorithm>
#include <string>
#include <vector>

#include <atoll/actors/future/cancel.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::future;
using atoll::promise;
using atoll::task_info;
using atoll::task_state;
using std::chrono::hours;

constexpr std::uint32_t line_of_leaf = __LINE__ + 1;
future<int> leaf(future<int> f) { co_return co_await std::move(f); }
constexpr std::uint32_t line_of_middle = __LINE__ + 1;
future<int> middle(future<int> f) { co_return co_await leaf(std::move(f)); }
future<int> top(future<int> f) { co_return co_await middle(std::move(f)); }

std::vector<task_info> of_function(std::string_view name) {
  auto all = atoll::suspended_tasks();
  std::erase_if(all, [name](const task_info& t) { return !t.function.ends_with(name); });
  return all;
}

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// The line of the text that has this in it.
std::string line_with(const std::string& text, std::string_view part) {
  const auto at = text.find(part);
  if (at == std::string::npos) return {};
  const auto begin = text.rfind('\n', at);
  return text.substr(begin + 1, text.find('\n', at) - begin - 1);
}

ATOLL_TEST(task_dump, tells_what_a_coroutine_awaits_and_who_awaits_it) {
  promise<int> p;
  auto f = top(p.get_future());
  const auto leaves = of_function("::leaf");
  const auto middles = of_function("::middle");
  const auto tops = of_function("::top");
  ATOLL_REQUIRE(leaves.size() == 1 && middles.size() == 1 && tops.size() == 1);
  EXPECT_EQ(leaves[0].awaited_by, middles[0].id);
  EXPECT_EQ(middles[0].awaited_by, tops[0].id);
  EXPECT_EQ(tops[0].awaited_by, 0U);
  EXPECT_EQ(leaves[0].line, line_of_leaf);
  EXPECT_EQ(middles[0].line, line_of_middle);
  EXPECT_TRUE(leaves[0].file.ends_with("task_dump_test.cc")) << leaves[0].file;
  EXPECT_EQ(leaves[0].state, task_state::waiting);
  EXPECT_EQ(leaves[0].group, "main");
  EXPECT_FALSE(leaves[0].deadline_left);
  EXPECT_FALSE(leaves[0].cancelled);
  EXPECT_FALSE(leaves[0].dropped);
  p.set_value(7);
  EXPECT_EQ(co_await std::move(f), 7);
  EXPECT_TRUE(of_function("::leaf").empty());
}

ATOLL_TEST(task_dump, puts_what_is_awaited_beneath_its_awaiter) {
  promise<int> p;
  auto f = top(p.get_future());
  const auto text = atoll::dump_tasks();
  EXPECT_TRUE(text.starts_with("shard 0: ")) << text;
  EXPECT_TRUE(text.ends_with('\n'));
  const auto indent = [&text](std::string_view name) { return line_with(text, name).find_first_not_of(' '); };
  EXPECT_EQ(indent("::middle"), indent("::top") + 2) << text;
  EXPECT_EQ(indent("::leaf"), indent("::middle") + 2) << text;
  EXPECT_NE(line_with(text, "::leaf").find("task_dump_test.cc:" + std::to_string(line_of_leaf)), std::string::npos)
      << text;
  p.set_value(0);
  co_await std::move(f);
}

ATOLL_TEST(task_dump, says_the_same_of_many_in_one_line) {
  constexpr std::size_t many = 10'000;
  std::vector<promise<int>> promises(many);
  std::vector<future<int>> futures;
  for (auto& p : promises) futures.push_back(top(p.get_future()));
  const auto text = atoll::dump_tasks();
  EXPECT_EQ(count_of(text, "x 10000  "), 3U) << text.substr(0, 2000);
  EXPECT_LT(std::ranges::count(text, '\n'), 20);
  EXPECT_NE(line_with(text, "::leaf").find("oldest "), std::string::npos);
  for (auto& p : promises) p.set_value(1);
  for (auto& f : futures) co_await std::move(f);
}

ATOLL_TEST(task_dump, is_bounded_and_says_by_how_much) {
  std::vector<promise<int>> promises(100);
  std::vector<future<int>> futures;
  for (auto& p : promises) futures.push_back(leaf(p.get_future()));
  auto tree = top(promises.emplace_back().get_future());
  const auto all = atoll::suspended_tasks().size();
  EXPECT_EQ(atoll::suspended_tasks(10).size(), 10U);
  const auto few_looked_at = atoll::dump_tasks({.tasks_max = 10});
  EXPECT_NE(few_looked_at.find("... and " + std::to_string(all - 10) + " more\n"), std::string::npos) << few_looked_at;
  const auto one_line = atoll::dump_tasks({.lines_max = 1});
  EXPECT_EQ(std::ranges::count(one_line, '\n'), 3) << one_line;
  EXPECT_NE(one_line.find(" more\n"), std::string::npos) << one_line;
  const auto nothing = atoll::dump_tasks({.tasks_max = 0, .lines_max = 0});
  EXPECT_NE(nothing.find("... and " + std::to_string(all) + " more\n"), std::string::npos) << nothing;
  for (auto& p : promises) p.set_value(1);
  for (auto& f : futures) co_await std::move(f);
  co_await std::move(tree);
}

ATOLL_TEST(task_dump, knows_futures_that_are_gone_and_nothing_of_what_has_ended) {
  promise<int> read_late;
  promise<int> never_read;
  promise<int> later;
  auto f = leaf(read_late.get_future());
  static_cast<void>(leaf(never_read.get_future()));
  auto g = leaf(later.get_future());
  read_late.set_value(3);
  while (!f.available()) co_await atoll::yield();
  auto leaves = of_function("::leaf");
  ATOLL_REQUIRE(leaves.size() == 2);
  EXPECT_EQ(leaves[0].state, task_state::waiting);
  EXPECT_TRUE(leaves[0].dropped);
  EXPECT_EQ(leaves[1].state, task_state::waiting);
  EXPECT_FALSE(leaves[1].dropped);
  const auto text = atoll::dump_tasks();
  EXPECT_EQ(count_of(text, "  dropped  "), 1U) << text;
  EXPECT_EQ(co_await std::move(f), 3);
  never_read.set_value(1);
  later.set_value(2);
  EXPECT_EQ(co_await std::move(g), 2);
  while (!of_function("::leaf").empty()) co_await atoll::yield();
}

ATOLL_TEST(task_dump, knows_who_asked) {
  co_await atoll::yield();
  const auto all = atoll::suspended_tasks();
  EXPECT_EQ(std::ranges::count(all, task_state::running, &task_info::state), 1);
  EXPECT_EQ(count_of(atoll::dump_tasks(), "  running  "), 1U);
}

ATOLL_TEST(task_dump, knows_deadlines_and_cancellation) {
  promise<int> p;
  promise<int> q;
  auto bounded = atoll::with_timeout(hours(2), [&p] { return leaf(p.get_future()); });
  atoll::cancel_source source;
  auto cancelled = source.run([&q] { return leaf(q.get_future()); });
  source.cancel();
  const auto leaves = of_function("::leaf");
  ATOLL_REQUIRE(leaves.size() == 2);
  ATOLL_REQUIRE(leaves[0].deadline_left);
  EXPECT_GT(*leaves[0].deadline_left, hours(1));
  EXPECT_LE(*leaves[0].deadline_left, hours(2));
  EXPECT_FALSE(leaves[0].cancelled);
  EXPECT_TRUE(leaves[1].cancelled);
  const auto text = atoll::dump_tasks();
  EXPECT_NE(text.find("  deadline in "), std::string::npos) << text;
  EXPECT_NE(text.find("cancelled"), std::string::npos) << text;
  p.set_value(1);
  q.set_value(1);
  co_await std::move(bounded);
  co_await std::move(cancelled);
}

ATOLL_TEST(task_dump, names_the_scheduling_group) {
  const auto batch = atoll::this_shard().tasks.create_group("night batch", 100);
  ATOLL_REQUIRE(batch);
  promise<int> p;
  atoll::this_shard().group = batch->id;
  auto f = leaf(p.get_future());
  atoll::this_shard().group = 0;
  const auto leaves = of_function("::leaf");
  ATOLL_REQUIRE(leaves.size() == 1);
  EXPECT_EQ(leaves[0].group, "night batch");
  p.set_value(1);
  co_await std::move(f);
}

ATOLL_TEST(task_dump, ends_where_coroutines_await_each_other) {
  promise<int> way_out;
  auto f = leaf(way_out.get_future());
  // Two that wait for each other, made by hand: each is the waiter of the other's result.
  promise<int> p;
  promise<int> q;
  auto a = leaf(p.get_future());
  auto b = leaf(q.get_future());
  std::vector<atoll::detail::coroutine_base*> leaves;
  for (auto& hook : atoll::this_shard().coroutines) {
    auto& c = static_cast<atoll::detail::coroutine_base&>(hook);
    if (std::string_view(c.site.file_name()).ends_with("task_dump_test.cc") && c.site.line() == line_of_leaf) {
      leaves.push_back(&c);
    }
  }
  ATOLL_REQUIRE(leaves.size() == 3);
  leaves[1]->result->set_waiter(*leaves[2]);
  leaves[2]->result->set_waiter(*leaves[1]);
  const auto text = atoll::dump_tasks();
  EXPECT_NE(text.find("  x 2  "), std::string::npos) << text;  // where the circle begins, and the one outside it
  EXPECT_EQ(count_of(text, "::leaf"), 2U) << text;
  static_cast<void>(leaves[1]->result->take_waiter());
  static_cast<void>(leaves[2]->result->take_waiter());
  for (auto* each : {&way_out, &p, &q}) each->set_value(1);
  co_await std::move(f);
  co_await std::move(a);
  co_await std::move(b);
}

future<int> nested(int depth, future<int> f) {
  if (depth == 0) co_return co_await std::move(f);
  co_return co_await nested(depth - 1, std::move(f));
}

ATOLL_TEST(task_dump, takes_a_long_chain) {
  promise<int> p;
  auto f = nested(20'000, p.get_future());
  const auto text = atoll::dump_tasks();
  // The runtime's own coroutines take some of the lines.
  EXPECT_LE(count_of(text, "::nested"), atoll::task_dump_limits{}.lines_max) << text.substr(0, 500);
  EXPECT_GE(count_of(text, "::nested"), atoll::task_dump_limits{}.lines_max - 10) << text.substr(0, 500);
  EXPECT_NE(text.find(" more\n"), std::string::npos);
  p.set_value(1);
  EXPECT_EQ(co_await std::move(f), 1);
}

}  // namespace
