// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/memory.md that makes allocations fail.
#include <memory>
#include <string>
#include <vector>

#include <atoll/testing/alloc_failures.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::testing::alloc_failures;
using atoll::testing::for_each_allocation_failure;

class table {
 public:
  atoll::future<> add(std::string row) {
    co_await atoll::yield();
    rows_.push_back(std::move(row));
  }
  std::size_t rows() const { return rows_.size(); }

 private:
  std::vector<std::string> rows_;
};

atoll::future<> add_some_rows() {
  table t;
  for (std::size_t n = 1; n <= 3; ++n) {
    co_await atoll::or_fail(t.add(std::string(100, 'x')));
    EXPECT_EQ(t.rows(), n);
  }
}

ATOLL_TEST(docs_memory, adding_rows_survives_each_failure_of_an_allocation) {
  const auto runs = co_await for_each_allocation_failure(&add_some_rows);  // failing at the 1st, 2nd, ... allocation
  EXPECT_GT(runs, 3U);
}

TEST(docs_memory, a_chosen_allocation_fails) {
  std::unique_ptr<int> first;
  std::unique_ptr<int> second;
  {
    const auto failing = alloc_failures::after(2);
    first = std::make_unique<int>(1);
    EXPECT_THROW(second = std::make_unique<int>(2), std::bad_alloc);
  }
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(second, nullptr);
}

}  // namespace
