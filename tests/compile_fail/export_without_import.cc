// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a service with export_slot() has a future<> import_slot(slot_id, what that gives)
//
// What it gives would go nowhere.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  static constexpr atoll::service_options options{.slots = 8};
  atoll::future<int> export_slot(atoll::slot_id slot);
};
ATOLL_SERVICE(store, "demo.v1.Store");

atoll::future<> move(atoll::sharded<store>& stores) { return stores.slots().move(1, 0); }

}  // namespace demo
