// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/lane.hh>

#include <numeric>
#include <thread>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::lane;

struct numbered : atoll::task {
  numbered() : atoll::task(&nothing) {}
  static void nothing(atoll::task*) noexcept {}
  std::size_t number = 0;
};

std::vector<std::size_t> take_all() {
  std::vector<std::size_t> numbers;
  auto& tasks = atoll::this_shard().tasks;
  while (!tasks.empty()) numbers.push_back(static_cast<numbered&>(tasks.pick()->pop()).number);
  return numbers;
}

std::vector<numbered> numbered_tasks(std::size_t count) {
  std::vector<numbered> tasks(count);
  for (std::size_t i = 0; i < count; ++i) tasks[i].number = i;
  return tasks;
}

std::vector<std::size_t> numbers_below(std::size_t count) {
  std::vector<std::size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return numbers;
}

/// What waits with the sender goes once there is room, behind what the full ring holds.
void expect_full_ring_and(lane& l, std::size_t waiting) {
  constexpr std::size_t full = lane::ring_lines * lane::tasks_a_line;
  EXPECT_TRUE(l.publish());
  EXPECT_EQ(l.unpublished(), waiting) << "the ring took more, or less, than it has room for";
  EXPECT_FALSE(l.publish());
  EXPECT_EQ(l.receive(), full);
  EXPECT_TRUE(l.publish());
  EXPECT_EQ(l.receive(), waiting);
  EXPECT_EQ(take_all(), numbers_below(full + waiting));
}

ATOLL_TEST_ON(lane, carries_tasks_in_order_once_they_are_published, 1) {
  lane l;
  auto tasks = numbered_tasks(20);
  for (auto& each : tasks) l.push(each);
  EXPECT_EQ(l.receive(), 0U);
  EXPECT_TRUE(l.publish());
  EXPECT_EQ(l.receive(), 20U);
  EXPECT_EQ(take_all(), numbers_below(20));
  EXPECT_FALSE(l.publish());
  co_return;
}

ATOLL_TEST_ON(lane, holds_a_full_ring_and_keeps_the_rest_in_order, 1) {
  lane l;
  auto tasks = numbered_tasks(lane::ring_lines * lane::tasks_a_line + 3);
  for (auto& each : tasks) l.push(each);
  expect_full_ring_and(l, 3);
  co_return;
}

ATOLL_TEST_ON(lane, publishes_the_part_of_a_batch_that_the_ring_has_room_for, 1) {
  static_assert(lane::batch == 2 * lane::tasks_a_line);
  lane l;
  auto tasks = numbered_tasks(lane::ring_lines * lane::tasks_a_line + 3);
  for (auto& each : tasks) {
    l.push(each);
    if (each.number + 1 == lane::tasks_a_line) {  // from here on each batch begins in an odd line
      EXPECT_TRUE(l.publish());
    }
  }
  expect_full_ring_and(l, 3);
  co_return;
}

ATOLL_TEST_ON(lane, leaves_what_may_wait_to_the_next_time_where_there_is_other_work, 1) {
  lane l;
  auto tasks = numbered_tasks(7);
  const auto send = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) l.push(tasks[i]);
    l.publish();
  };
  send(0, 2);
  EXPECT_EQ(l.receive(true), 2U) << "there was nothing else to do";
  EXPECT_FALSE(l.has_asked());
  send(2, 4);  // two are ready
  EXPECT_EQ(l.receive(true), 0U);
  EXPECT_TRUE(l.has_asked());
  send(4, 5);
  EXPECT_EQ(l.receive(true), 2U) << "what was asked for before";
  EXPECT_TRUE(l.has_asked());
  send(5, 7);
  EXPECT_EQ(l.receive(), 3U) << "nothing may wait";
  EXPECT_FALSE(l.has_asked());
  EXPECT_EQ(take_all(), numbers_below(7));
  co_return;
}

ATOLL_TEST_ON(lane, loses_and_doubles_nothing_between_two_threads, 1) {
  constexpr std::size_t count = 200'000;
  lane l;
  std::vector<numbered> tasks(count);
  std::thread sender([&] {
    for (std::size_t i = 0; i < count; ++i) {
      tasks[i].number = i;
      l.push(tasks[i]);
      if (i % 5 == 0) l.publish();
    }
    while (l.unpublished() > 0) {
      if (!l.publish()) std::this_thread::yield();
    }
  });
  std::size_t next = 0;
  bool ordered = true;
  while (next < count) {
    if (l.receive() == 0) std::this_thread::yield();
    for (const auto n : take_all()) ordered = ordered && n == next++;
  }
  sender.join();
  EXPECT_TRUE(ordered);
  co_return;
}

}  // namespace
