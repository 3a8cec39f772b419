// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/result.hh>

#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using atoll::error;
using atoll::result;
using atoll::status_code;

const error lost(status_code::data_loss, "lost");

/// Counts those alive; throws when it is moved, where it was told to.
struct touchy {
  static inline int alive = 0;
  explicit touchy(int v, bool t = false) : value(v), throws(t) { ++alive; }
  touchy(const touchy& other) : value(other.value), throws(other.throws) { ++alive; }
  touchy(touchy&& other) : value(other.value), throws(other.throws) {  // NOLINT: it throws
    if (throws && ++moves > 1) throw std::runtime_error("on purpose");
    ++alive;
  }
  touchy& operator=(touchy&& other) {  // NOLINT: it throws
    if (other.throws) throw std::runtime_error("on purpose");
    value = other.value;
    return *this;
  }
  ~touchy() { --alive; }
  static inline int moves = 0;
  int value;
  bool throws;
};

static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<result<std::string>>);
static_assert(!std::is_nothrow_move_constructible_v<result<touchy>>);

void expect_same(const result<std::string>& a, const result<std::string>& b) {
  ASSERT_EQ(a.has_value(), b.has_value());
  if (a) {
    EXPECT_EQ(*a, *b);
  } else {
    EXPECT_EQ(a.error(), b.error());
  }
}

TEST(result, may_be_assigned_whatever_both_hold) {
  const result<std::string> one("one");
  const result<std::string> two(std::string(100, '2'));
  const result<std::string> failed(lost);
  for (const auto* from : {&one, &two, &failed}) {
    for (const auto* to : {&one, &two, &failed}) {
      result<std::string> r = *to;
      r = *from;
      expect_same(r, *from);
      result<std::string> moved = std::move(r);
      r = std::move(moved);
      expect_same(r, *from);
    }
  }
}

TEST(result, destroys_what_it_held) {
  {
    result<touchy> r(touchy(1));
    r = lost;
    EXPECT_EQ(touchy::alive, 0);
    r = result<touchy>(touchy(2));
    EXPECT_EQ(touchy::alive, 1);
    const auto copy = r;
    EXPECT_EQ(copy->value, 2);
    EXPECT_EQ(touchy::alive, 2);
  }
  EXPECT_EQ(touchy::alive, 0);
}

TEST(result, keeps_its_error_where_the_value_to_come_throws) {
  {
    result<touchy> r(lost);
    touchy::moves = 0;
    result<touchy> thrower(touchy(1, true));  // the one move that succeeds
    EXPECT_THROW(r = std::move(thrower), std::runtime_error);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error(), lost);
  }
  EXPECT_EQ(touchy::alive, 0);
}

TEST(result, keeps_its_value_where_the_one_to_come_throws) {
  {
    result<touchy> r(touchy(7));
    touchy::moves = -1;
    result<touchy> thrower(touchy(1, true));
    EXPECT_THROW(r = std::move(thrower), std::runtime_error);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->value, 7);
  }
  EXPECT_EQ(touchy::alive, 0);
}

TEST(result, holds_references) {
  int a = 1;
  int b = 2;
  result<int&> r(a);
  EXPECT_EQ(&r->get(), &a);
  r = result<int&>(b);
  EXPECT_EQ(&static_cast<int&>(*r), &b);
  EXPECT_EQ(a, 1) << "assigning a result of a reference changes which, not what";
}

TEST(result, of_nothing_has_a_value_or_an_error) {
  result<> r;
  EXPECT_TRUE(r);
  r = lost;
  EXPECT_THROW(r.value(), atoll::status_error);
  r = {};
  EXPECT_TRUE(r);
}

}  // namespace
