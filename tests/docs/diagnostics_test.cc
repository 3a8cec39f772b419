// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/diagnostics.md, and that it does what is said there.
#include <string>
#include <unordered_map>
#include <vector>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/reactor/task_dump.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/diagnostics.hh>
#include <atoll/sharding/doctor.hh>
#include <atoll/sharding/machine.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;

atoll::future<> wait_for_answer(atoll::event& answered) { co_await answered.wait(); }
atoll::future<> handle_request(atoll::event& answered) { co_await wait_for_answer(answered); }

std::vector<std::string> slow_ones(atoll::duration age) {
  std::vector<std::string> names;
  for (const atoll::task_info& task : atoll::suspended_tasks()) {
    if (task.state == atoll::task_state::waiting && task.age >= age) names.emplace_back(task.function);
  }
  return names;
}

ATOLL_TEST(docs_diagnostics, a_task_dump_shows_who_waits_for_whom) {
  atoll::event answered("answered");
  auto request = handle_request(answered);
  const std::string text = atoll::dump_tasks();  // this shard's; dump_tasks_everywhere() has all of them
  EXPECT_TRUE(text.starts_with("shard 0: ")) << text;
  const auto outer = text.find("handle_request");
  const auto inner = text.find("wait_for_answer");
  EXPECT_NE(inner, std::string::npos) << text;
  EXPECT_LT(outer, inner) << text;
  EXPECT_NE(text.find("diagnostics_test.cc:"), std::string::npos) << text;
  EXPECT_TRUE(slow_ones(1h).empty());
  bool found = false;
  for (const auto& name : slow_ones(0s)) found = found || name.find("handle_request") != std::string::npos;
  EXPECT_TRUE(found);
  const auto everywhere = co_await atoll::dump_tasks_everywhere();
  EXPECT_NE(everywhere.find("\nshard 1: "), std::string::npos) << everywhere;
  answered.set();
  co_await std::move(request);
}

class cache {
 public:
  std::string get(std::string key) {
    const auto begin = atoll::mono_now();
    const auto found = entries_.find(key);
    (found == entries_.end() ? misses_ : hits_).add();
    reads_.record(static_cast<std::uint64_t>((atoll::mono_now() - begin).count()));
    return found == entries_.end() ? "" : found->second;
  }
  void put(std::string key, std::string value) { entries_[std::move(key)] = std::move(value); }

 private:
  std::unordered_map<std::string, std::string> entries_;
  atoll::metric_group metrics_{atoll::shard_metrics(), "cache"};
  atoll::counter hits_{metrics_, "reads_total", "Reads.", {{"found", "yes"}}};
  atoll::counter misses_{metrics_, "reads_total", "Reads.", {{"found", "no"}}};
  atoll::observable_gauge size_{metrics_, "entries", "Entries.", [this] { return entries_.size(); }};
  atoll::histogram_metric reads_{metrics_, "read_seconds", "Time of a read.", atoll::nanoseconds_as_seconds};
};

ATOLL_TEST(docs_diagnostics, metrics_are_members) {
  {
    cache c;
    c.put("a", "b");
    c.get("a");
    c.get("a");
    c.get("x");
    const std::string page = co_await atoll::render_metrics();
    EXPECT_NE(page.find("cache_reads_total{found=\"yes\",shard=\"0\"} 2\n"), std::string::npos) << page;
    EXPECT_NE(page.find("cache_reads_total{found=\"no\",shard=\"0\"} 1\n"), std::string::npos) << page;
    EXPECT_NE(page.find("cache_entries{shard=\"0\"} 1\n"), std::string::npos) << page;
    EXPECT_NE(page.find("cache_read_seconds_count{shard=\"0\"} 3\n"), std::string::npos) << page;
    EXPECT_NE(page.find("atoll_shard_tasks_total{shard=\"1\"}"), std::string::npos) << page;

    const cache twice;  // counts, but is not exported: a duplicate
    EXPECT_GT(atoll::shard_metrics()->refused(), 0U);
  }
  const std::string page = co_await atoll::render_metrics();
  EXPECT_EQ(page.find("cache_"), std::string::npos) << "exported for as long as they live";
}

inline constexpr atoll::logger net_log{"net"};

class listener {
 public:
  void refuse(int client) {
    net_log.warning(limit_, "refused a connection", atoll::kv("client", client));  // one line in ten seconds
  }
  void peer_down(int peer, const atoll::error& why) {
    net_log.info("{} of {} peers are up", 2, 3);
    net_log.warning("peer is down", atoll::kv("peer", peer), atoll::kv("why", why.to_string()));
  }

 private:
  atoll::rate_limit limit_{10s};
};

/// Takes the lines of this shard while it lives.
class captured : public atoll::log_sink {
 public:
  captured() { atoll::this_shard().logs.sink = this; }
  captured(const captured&) = delete;
  captured& operator=(const captured&) = delete;
  ~captured() override { atoll::this_shard().logs.sink = nullptr; }
  void write(std::string_view line) noexcept override { text += line; }
  std::string text;
};

ATOLL_TEST(docs_diagnostics, a_log_line_has_words_and_then_keys) {
  captured lines;
  listener l;
  l.peer_down(3, atoll::error(atoll::status_code::unavailable, "no route"));
  EXPECT_EQ(lines.text,
            "info [shard 0] net: 2 of 3 peers are up\n"
            "warning [shard 0] net: peer is down peer=3 why=\"unavailable: no route\"\n");
  lines.text.clear();
  for (int client = 0; client < 5; ++client) l.refuse(client);
  EXPECT_EQ(lines.text, "warning [shard 0] net: refused a connection client=0\n");
  co_return;
}

atoll::future<> debug_the_network() {
  const auto changed = atoll::this_shard().logs.set("warning,net=debug");  // as in ATOLL_LOG
  if (!changed) co_await atoll::fail(changed.error());
  if (net_log.enabled(atoll::log_level::debug)) net_log.debug("a detail");
}

ATOLL_TEST(docs_diagnostics, levels_are_chosen_by_logger) {
  captured lines;
  co_await debug_the_network();
  atoll::log_info("not told");
  EXPECT_EQ(lines.text, "debug [shard 0] net: a detail\n");
  const auto bad = atoll::this_shard().logs.set("net=loud");
  ATOLL_REQUIRE(!bad);
  EXPECT_EQ(bad.error().code(), atoll::status_code::invalid_argument);
  EXPECT_EQ(atoll::this_shard().logs.to_string(), "warning,net=debug") << "bad text changes nothing";
  const auto levels_there = co_await atoll::submit_to(1, [] { return atoll::this_shard().logs.to_string(); });
  EXPECT_NE(levels_there, "warning,net=debug") << "each shard has its own";
}

TEST(docs_diagnostics, the_doctor_says_what_it_found) {
  const auto found = atoll::examine(atoll::probe_machine(), atoll::runtime_options{.shards = 1});
  EXPECT_TRUE(found.can_start) << found.report;
  EXPECT_NE(found.report.find("plan: memory"), std::string::npos) << found.report;
}

class lease {
 public:
  atoll::future<> hold() { return atoll::sleep(1h); }
};

ATOLL_CLOCK_TEST(docs_diagnostics, lease_ends_after_an_hour, clock) {
  lease l;
  auto held = l.hold();
  co_await clock.advance(59min);
  EXPECT_FALSE(held.available());
  co_await clock.advance(1min);
  EXPECT_TRUE(held.available());
  co_await std::move(held);
}

ATOLL_TEST(docs_diagnostics, shards_are_real) {
  const auto there = co_await atoll::submit_to(1, [] { return atoll::this_shard_id(); });
  EXPECT_EQ(there, 1U);
}

}  // namespace
