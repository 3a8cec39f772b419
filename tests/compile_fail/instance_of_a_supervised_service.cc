// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: an instance of a supervised service may be replaced by another
//
// The reference would outlive what it refers to.
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/supervised.hh>

namespace demo {

class follower : public atoll::supervised {};
ATOLL_SERVICE(follower, "demo.v1.Follower");
class reader {
 public:
  explicit reader(follower& from);
};
ATOLL_SERVICE(reader, "demo.v1.Reader");

atoll::future<> start(atoll::sharded<reader>& readers, atoll::sharded<follower>& followers) {
  return readers.start(followers.ref());
}

}  // namespace demo
