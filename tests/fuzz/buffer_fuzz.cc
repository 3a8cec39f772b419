// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The input is a program for buffers and chains, run beside a model of them (tests/support/buffer_model.hh).
#include <cstdint>

#include <atoll/actors/base/assert.hh>

#include "buffer_model.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto problem = buffer_model::run({reinterpret_cast<const char*>(data), size});
  ATOLL_ASSERT(problem.empty(), problem.c_str());
  return 0;
}
