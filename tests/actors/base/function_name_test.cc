// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/function_name.hh>

#include <source_location>

#include <gtest/gtest.h>

namespace {

using atoll::lambda_given_to;
using atoll::short_function_name;

TEST(function_name, of_coroutines_of_gcc) {
  EXPECT_EQ(short_function_name("void free_one(free_one(int, std::string)::_Z8free_oneiNSt7.Frame*)"), "free_one");
  EXPECT_EQ(short_function_name("void demo::store<std::basic_string<char> >::get(demo::store<std::basic_string<char> "
                                ">::get(std::vector<int>, int (*)(char)) const::_ZNK4demo.Frame*)"),
            "demo::store<std::basic_string<char> >::get");
  EXPECT_EQ(short_function_name("void demo::{anonymous}::hidden(hidden()::_ZN4demo12_GLOBAL__N_16hiddenEv.Frame*)"),
            "demo::{anonymous}::hidden");
  EXPECT_EQ(
      short_function_name("void atoll_root::atoll::run_then(run_then<int, main()::<lambda()> >(int)::_ZN4.Frame*)"),
      "atoll::run_then");
  EXPECT_EQ(short_function_name("void main()::<lambda(std::string)>::operator()(main()::<lambda()>::_ZZ4main.Frame*)"),
            "main()::<lambda(std::string)>::operator()");
}

TEST(function_name, of_coroutines_of_clang) {
  EXPECT_EQ(short_function_name("future<> free_one(int, std::string)"), "free_one");
  EXPECT_EQ(short_function_name("future<> demo::store<std::basic_string<char>>::get(std::vector<K>, int (*)(char)) "
                                "const [K = std::basic_string<char>]"),
            "demo::store<std::basic_string<char>>::get");
  EXPECT_EQ(short_function_name("static future<std::map<int, int>> demo::store<int>::st() [K = int[3]]"),
            "demo::store<int>::st");
  EXPECT_EQ(short_function_name("future<> demo::(anonymous namespace)::hidden()"),
            "demo::(anonymous namespace)::hidden");
  EXPECT_EQ(short_function_name("future<T> atoll_root::atoll::run_then(T, F) [T = int, F = (lambda at n.cc:19:128)]"),
            "atoll::run_then");
  EXPECT_EQ(short_function_name("auto maker()::(anonymous class)::operator()(int) const"),
            "maker()::(anonymous class)::operator()");
}

TEST(function_name, of_operators) {
  EXPECT_EQ(short_function_name("void sn::operator()(sn::operator()(int)::_ZN2snclEi.Frame*)"), "sn::operator()");
  EXPECT_EQ(short_function_name("void sn::operator<<(sn::operator<< <int>(int)::_ZN2snlsIiEE.Frame*)"),
            "sn::operator<<");
  EXPECT_EQ(short_function_name("future<> sn::operator<(std::string)"), "sn::operator<");
  EXPECT_EQ(short_function_name("future<> sn::operator->()"), "sn::operator->");
  EXPECT_EQ(short_function_name("void my_operator(my_operator(int)::_Z11my_operatori.Frame*)"), "my_operator");
}

TEST(function_name, of_plain_functions_and_of_what_is_none) {
  EXPECT_EQ(short_function_name("int main(int, char**)"), "main");
  EXPECT_EQ(short_function_name("main"), "main");
  for (const char* odd :
       {"", "(", ")", "]", "[]", "))))", "((()", "x]", " ", "()", "<>(", "operator", "f) (", "a (b"}) {
    EXPECT_EQ(short_function_name(odd), odd);
  }
  EXPECT_TRUE(short_function_name(std::source_location::current().function_name()).ends_with("::TestBody"));
}

TEST(lambda_given_to, finds_the_lambda_that_a_coroutine_of_g_plus_plus_was_given) {
  EXPECT_EQ(lambda_given_to("void atoll_root::atoll::detail::run_then(run_then<int, demo::get(int)::<lambda(int)> >("
                            "atoll_root::atoll::future<int>, demo::get(int)::<lambda(int)>)::_ZN4.Frame*)"),
            "demo::get(int)::<lambda(int)>");
  EXPECT_EQ(lambda_given_to("constexpr auto atoll_root::atoll::name() [with F = main()::<lambda(std::map<int, int>)>; "
                            "std::string = std::basic_string<char>]"),
            "main()::<lambda(std::map<int, int>)>");
  EXPECT_EQ(lambda_given_to("void x(x<demo::f()::<lambda(int)>::<lambda()> >(int)::_ZN4.Frame*)"),
            "demo::f()::<lambda(int)>::<lambda()>");
}

TEST(lambda_given_to, passes_over_the_library_s_own_and_takes_what_those_were_given) {
  EXPECT_EQ(
      lambda_given_to("void atoll_root::atoll::run_in(run_in<atoll_root::atoll::map(F)::<lambda()> >(int)::_Z.Frame*)"),
      "");
  EXPECT_EQ(
      lambda_given_to("void run(run<demo::f()::<lambda()>, atoll_root::atoll::g(F)::<lambda(int)> >(int)::_Z.Frame*)"),
      "demo::f()::<lambda()>");
  EXPECT_EQ(lambda_given_to("future<T> run(T, F) [T = int, F = (lambda at /build/include/atoll/actors/x.hh:1:2)]"), "");
}

TEST(lambda_given_to, takes_the_place_where_clang_says_that) {
  EXPECT_EQ(lambda_given_to("future<T> atoll_root::atoll::run_then(T, F) [T = int, F = (lambda at n.cc:19:128)]"),
            "lambda at n.cc:19:128");
}

TEST(lambda_given_to, gives_nothing_for_what_has_none) {
  for (const char* none : {"", "future<> free_one(int)", "<lambda(", "(lambda at ", "void f(int (*)(char))"}) {
    EXPECT_LE(lambda_given_to(none).size(), std::string_view(none).size());
  }
  EXPECT_EQ(lambda_given_to("future<> free_one(int)"), "");
}

}  // namespace
