// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/sendable.hh>

#include <functional>
#include <map>
#include <set>
#include <span>

#include <gtest/gtest.h>

#include <atoll/actors/memory/buffer.hh>
#include <atoll/sharding/calendar.hh>

#include "counter.hh"

namespace {

using atoll::sendable;

struct opaque {
  int n;
};
struct trusted {
  int n;
};
struct holds_a_view {
  std::string_view v;
};
ATOLL_MESSAGE(holds_a_view, v);
enum class colour { red };
class declared_only;

}  // namespace

template <>
inline constexpr bool atoll::enable_sendable<trusted> = true;

namespace {

static_assert(sendable<int> && sendable<double> && sendable<colour> && sendable<std::string> && sendable<atoll::bytes>);
static_assert(sendable<std::vector<std::map<std::string, std::optional<int>>>>);
static_assert(sendable<std::unique_ptr<std::string>> && sendable<std::variant<std::monostate, int, std::string>>);
static_assert(sendable<std::tuple<int, std::pair<std::string, std::chrono::seconds>>>);
static_assert(sendable<std::chrono::sys_seconds> && sendable<std::chrono::year_month_day>);
static_assert(sendable<std::optional<std::chrono::weekday>> && sendable<std::chrono::hh_mm_ss<std::chrono::seconds>>);
static_assert(sendable<atoll::socket_address>);
static_assert(sendable<demo::hit> && sendable<atoll::error> && sendable<trusted>);
static_assert(sendable<atoll::shard_ref<demo::counter>> && sendable<atoll::sharded_ref<demo::counter>>);

static_assert(sendable<atoll::buffer> && sendable<std::vector<atoll::buffer>> && sendable<atoll::buffer_chain>);

static_assert(sendable<std::map<std::string, int, std::less<>>> && sendable<std::set<int, std::greater<int>>>);

/// Buffers where they can't be detached.
static_assert(!sendable<std::unique_ptr<atoll::buffer[]>> && !sendable<std::map<atoll::buffer, int>>);  // NOLINT
static_assert(sendable<std::map<int, atoll::buffer>> && sendable<std::unique_ptr<int[]>>);              // NOLINT
static_assert(!sendable<std::unique_ptr<declared_only>>);

static_assert(!sendable<int*> && !sendable<int&> && !sendable<const char*> && !sendable<std::string_view>);
static_assert(!sendable<std::span<int>> && !sendable<std::shared_ptr<int>> && !sendable<std::weak_ptr<int>>);
static_assert(!sendable<std::reference_wrapper<int>> && !sendable<std::function<void()>>);
static_assert(!sendable<atoll::future<int>> && !sendable<demo::counter> && !sendable<opaque>);
static_assert(!sendable<std::vector<int*>> && !sendable<std::optional<std::string_view>> && !sendable<holds_a_view>);
static_assert(!sendable<std::unique_ptr<int*>> && !sendable<std::vector<int>::iterator>);

TEST(sendable, is_decided_when_it_compiles) { SUCCEED(); }

}  // namespace
