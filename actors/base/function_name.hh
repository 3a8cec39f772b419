// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A function's name as people write it, out of what std::source_location::function_name() gives.
//
//   atoll::short_function_name("void demo::get(demo::get(int)::_ZN4demo3getEi.Frame*)")       // demo::get
//   atoll::short_function_name("future<T> demo::get(T) [T = int]")                            // demo::get
//
// Of a coroutine g++ gives the function that resumes it, with the frame as its parameter; clang gives the declaration.
// What is left of both is the qualified name, without result, parameters and template arguments of the function.
//
//   atoll::lambda_given_to("future<T> atoll_root::atoll::run_then(T, F) [T = int, F = (lambda at n.cc:19:8)]")
//                                                                   // lambda at n.cc:19:8; g++: demo::get()::<lambda(int)>
//
// Cost: some 100 ns, no allocation: a part of the text is returned, so it lasts as long. Safe in signal handlers.
// Errors: none; text that is no such name is given back as it is.
#pragma once

#include <string_view>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

std::string_view short_function_name(std::string_view name) noexcept;

/// Whose code a function template runs: the last lambda among its template arguments that isn't atoll's own; empty where
/// there is none.
std::string_view lambda_given_to(std::string_view name) noexcept;

}  // namespace atoll_root::atoll
