// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_DETAIL_LIST(macro, data, a, b, c) expands to macro(data, a), macro(data, b), macro(data, c); up to
// 256 elements. The recursion by __VA_OPT__ is the one that C++20's rules for rescanning allow.
#pragma once

#include <atoll/actors/base/namespace.hh>

#define ATOLL_DETAIL_PARENS ()
#define ATOLL_DETAIL_EXPAND(...) \
  ATOLL_DETAIL_EXPAND3(ATOLL_DETAIL_EXPAND3(ATOLL_DETAIL_EXPAND3(ATOLL_DETAIL_EXPAND3(__VA_ARGS__))))
#define ATOLL_DETAIL_EXPAND3(...) \
  ATOLL_DETAIL_EXPAND2(ATOLL_DETAIL_EXPAND2(ATOLL_DETAIL_EXPAND2(ATOLL_DETAIL_EXPAND2(__VA_ARGS__))))
#define ATOLL_DETAIL_EXPAND2(...) \
  ATOLL_DETAIL_EXPAND1(ATOLL_DETAIL_EXPAND1(ATOLL_DETAIL_EXPAND1(ATOLL_DETAIL_EXPAND1(__VA_ARGS__))))
#define ATOLL_DETAIL_EXPAND1(...) \
  ATOLL_DETAIL_EXPAND0(ATOLL_DETAIL_EXPAND0(ATOLL_DETAIL_EXPAND0(ATOLL_DETAIL_EXPAND0(__VA_ARGS__))))
#define ATOLL_DETAIL_EXPAND0(...) __VA_ARGS__

#define ATOLL_DETAIL_LIST(macro, data, ...) \
  __VA_OPT__(ATOLL_DETAIL_EXPAND(ATOLL_DETAIL_LIST_STEP(macro, data, __VA_ARGS__)))
#define ATOLL_DETAIL_LIST_STEP(macro, data, first, ...) \
  macro(data, first) __VA_OPT__(, ATOLL_DETAIL_LIST_AGAIN ATOLL_DETAIL_PARENS(macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_LIST_AGAIN() ATOLL_DETAIL_LIST_STEP

/// The same without commas between the expansions.
#define ATOLL_DETAIL_EACH(macro, data, ...) \
  __VA_OPT__(ATOLL_DETAIL_EXPAND(ATOLL_DETAIL_EACH_STEP(macro, data, __VA_ARGS__)))
#define ATOLL_DETAIL_EACH_STEP(macro, data, first, ...) \
  macro(data, first) __VA_OPT__(ATOLL_DETAIL_EACH_AGAIN ATOLL_DETAIL_PARENS(macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_AGAIN() ATOLL_DETAIL_EACH_STEP
