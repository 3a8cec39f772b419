// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The control: what the other cases look like where nothing is wrong. It has to compile.
#include <atoll/rpc/codec.hh>
#include <atoll/sharding/sharded.hh>

#include <array>
#include <string>

namespace demo {

struct entry {
  std::string name;
  int number = 0;
};
ATOLL_MESSAGE(entry, name, number);

class store {
 public:
  atoll::future<int> add(std::string name, int by);
  atoll::future<entry> get(std::string name);
  atoll::future<> put(entry value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(add, key(name), by), ATOLL_METHOD(get, name),
              ATOLL_METHOD(put, value));

atoll::future<int> call_by_key(atoll::sharded_ref<store> store) { return store.add("x", 5); }
atoll::future<entry> call_a_shard(atoll::sharded_ref<store> store) { return store.at(0).get("x"); }
atoll::future<> call(atoll::shard_ref<store> store, entry value) { return store.put(std::move(value)); }

atoll::future<> by_value(std::string) { co_return; }

class disk {
 public:
  atoll::future<> write(std::array<char, 511 * 1024> sector);  // 512 would be too large
};
ATOLL_SERVICE(disk, "demo.v1.Disk", ATOLL_METHOD(write, sector));

atoll::future<> call(atoll::shard_ref<disk> one) { return one.write({}); }

std::optional<atoll::error> encode(std::string& out, const entry& value) { return atoll::encode_message(out, value); }

}  // namespace demo
