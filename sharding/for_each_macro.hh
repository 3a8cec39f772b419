// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_DETAIL_LIST(macro, data, a, b, c) expands to macro(data, a), macro(data, b), macro(data, c); up to
// 256 elements. Sixteen at a time: g++ keeps the tokens of each rescan, so that many small steps cost much memory. From one
// sixteen to the next goes the recursion by __VA_OPT__ that C++20's rules for rescanning allow.
#pragma once

#include <atoll/actors/base/namespace.hh>

// Else each error in a description would come with the macros it was expanded through, line by line.
#pragma GCC system_header

#define ATOLL_DETAIL_LIST(macro, data, ...) \
  __VA_OPT__(ATOLL_DETAIL_EXPAND(ATOLL_DETAIL_EACH_1(ATOLL_DETAIL_COMMA, macro, data, __VA_ARGS__)))
/// The same without commas between the expansions.
#define ATOLL_DETAIL_EACH(macro, data, ...) \
  __VA_OPT__(ATOLL_DETAIL_EXPAND(ATOLL_DETAIL_EACH_1(ATOLL_DETAIL_NOTHING, macro, data, __VA_ARGS__)))

#define ATOLL_DETAIL_COMMA() ,
#define ATOLL_DETAIL_NOTHING()
#define ATOLL_DETAIL_PARENS ()
#define ATOLL_DETAIL_EXPAND(...) \
  ATOLL_DETAIL_EXPAND1(ATOLL_DETAIL_EXPAND1(ATOLL_DETAIL_EXPAND1(ATOLL_DETAIL_EXPAND1(__VA_ARGS__))))
#define ATOLL_DETAIL_EXPAND1(...) \
  ATOLL_DETAIL_EXPAND0(ATOLL_DETAIL_EXPAND0(ATOLL_DETAIL_EXPAND0(ATOLL_DETAIL_EXPAND0(__VA_ARGS__))))
#define ATOLL_DETAIL_EXPAND0(...) __VA_ARGS__

#define ATOLL_DETAIL_EACH_1(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_2(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_2(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_3(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_3(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_4(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_4(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_5(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_5(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_6(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_6(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_7(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_7(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_8(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_8(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_9(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_9(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_10(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_10(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_11(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_11(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_12(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_12(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_13(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_13(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_14(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_14(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_15(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_15(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_16(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_16(sep, macro, data, first, ...) \
  macro(data, first) __VA_OPT__(sep() ATOLL_DETAIL_EACH_AGAIN ATOLL_DETAIL_PARENS(sep, macro, data, __VA_ARGS__))
#define ATOLL_DETAIL_EACH_AGAIN() ATOLL_DETAIL_EACH_1
