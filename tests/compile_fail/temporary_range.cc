// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: deleted function
//
// The range is gone before its last element is looked at.
#include <atoll/actors/future/combinators.hh>

#include <vector>

namespace demo {

atoll::future<> ask(int);

atoll::future<> all() { return atoll::parallel_for_each(std::vector<int>{1, 2, 3}, &ask); }

}  // namespace demo
