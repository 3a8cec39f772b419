// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: each waiter gets a copy of the value
//
// A shared_future gives its value to many.
#include <atoll/actors/future/shared_future.hh>

#include <memory>

atoll::future<> wait(atoll::future<std::unique_ptr<int>> f) {
  const atoll::shared_future<std::unique_ptr<int>> shared(std::move(f));
  return shared.get().discard_value();
}
