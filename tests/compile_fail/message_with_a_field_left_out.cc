// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: ATOLL_MESSAGE names every field, and entry has more of them, or a base class
//
// A field that is not described would travel all the same, whatever it is.
#include <memory>
#include <string>

#include <atoll/sharding/sharded.hh>

namespace demo {

struct entry {
  std::string name;
  std::shared_ptr<int> shared;
};
ATOLL_MESSAGE(entry, name);

}  // namespace demo
