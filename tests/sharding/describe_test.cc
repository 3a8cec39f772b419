// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/describe.hh>

#include <gtest/gtest.h>
#include <boost/hana.hpp>

#include <atoll/sharding/hana.hh>

#include "counter.hh"

namespace {

namespace hana = boost::hana;

struct nothing {};
ATOLL_MESSAGE(nothing);

struct quiet {
  atoll::future<> act() { return atoll::make_ready_future(); }
};
ATOLL_SERVICE(quiet, "Quiet", ATOLL_METHOD(act));

static_assert(atoll::described_message<demo::hit>);
static_assert(!atoll::described_message<std::string>);
static_assert(atoll::described_service<demo::counter>);
static_assert(!atoll::described_service<demo::hit>);

TEST(message, is_a_hana_struct) {
  const demo::hit h{"x", 5};
  std::vector<std::string> seen;
  hana::for_each(h, hana::fuse([&seen](auto name, auto member) {
                   std::ostringstream text;
                   text << hana::to<char const*>(name) << "=" << member;
                   seen.push_back(text.str());
                 }));
  EXPECT_EQ(seen, (std::vector<std::string>{"name=x", "total=5"}));
}

TEST(message, knows_its_name_and_fields) {
  EXPECT_EQ(atoll::message_name<demo::hit>(), "hit");
  EXPECT_EQ(decltype(hana::size(std::declval<atoll::message_members<demo::hit>>()))::value, 2U);
  EXPECT_EQ(decltype(hana::size(std::declval<atoll::message_members<nothing>>()))::value, 0U);
}

TEST(description, knows_names_parameters_and_keys) {
  using d = atoll::service_description<demo::counter>;
  EXPECT_EQ(d::name, "demo.v1.Counter");
  using add = atoll::method_traits<d::method_add>;
  EXPECT_EQ(add::arity, 2U);
  EXPECT_EQ(add::key, 0U);
  EXPECT_EQ(add::parameters.names[0], "name");
  EXPECT_EQ(add::parameters.names[1], "by");
  using where = atoll::method_traits<d::method_where>;
  EXPECT_EQ(where::arity, 0U);
  EXPECT_EQ(where::key, atoll::no_key);
  static_assert(std::is_same_v<where::result, std::uint32_t>);
}

TEST(description, lists_the_methods_in_order) {
  std::vector<std::string_view> names;
  atoll::for_each_method<demo::counter>([&names]<class Tag>(Tag) { names.push_back(Tag::name); });
  ASSERT_EQ(names.size(), 10U);
  EXPECT_EQ(names.front(), "add");
  EXPECT_EQ(names.back(), "naps_cut_short");
}

}  // namespace
