// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: the arguments and the result of a call lie in its record, of at most 512 KiB
// EXPECT: method_write
//
// It would be copied through the stack of each caller, and its parts would not find each other.
#include <array>

#include <atoll/sharding/sharded.hh>

namespace demo {

class disk {
 public:
  atoll::future<> write(std::array<char, 512 * 1024> sector);
};
ATOLL_SERVICE(disk, "demo.v1.Disk", ATOLL_METHOD(write, sector));

atoll::future<> call(atoll::shard_ref<disk> one) { return one.write({}); }

}  // namespace demo
