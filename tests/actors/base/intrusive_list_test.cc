// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/intrusive_list.hh>

#include <gtest/gtest.h>

namespace {

struct item : atoll::list_hook {
  explicit item(int v) : value(v) {}
  int value;
};
using list = atoll::intrusive_list<item>;

TEST(intrusive_list, keeps_the_order) {
  item a(1), b(2), c(3);
  list l;
  l.push_back(a);
  l.push_back(b);
  l.push_back(c);
  b.unlink();
  EXPECT_EQ(l.pop_front()->value, 1);
  EXPECT_EQ(l.pop_front()->value, 3);
  EXPECT_EQ(l.pop_front(), nullptr);
}

TEST(intrusive_list, is_left_by_an_element_that_dies) {
  list l;
  {
    item a(1);
    l.push_back(a);
  }
  EXPECT_TRUE(l.empty());
}

TEST(intrusive_list, can_be_joined_to_another) {
  item a(1), b(2), c(3);
  list l, m;
  l.push_back(a);
  m.push_back(b);
  m.push_back(c);
  l.splice(m);
  EXPECT_TRUE(m.empty());
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(l.pop_front()->value, i);
  l.splice(m);
  EXPECT_TRUE(l.empty());
}

TEST(intrusive_list, lets_its_elements_go_when_it_dies) {
  item a(1);
  {
    list l;
    l.push_back(a);
  }
  EXPECT_FALSE(a.linked());
}

}  // namespace
