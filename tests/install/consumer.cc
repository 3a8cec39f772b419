// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A user's program: a service, called on every shard. <stdlib.h> comes first, because of its function atoll().
#include <stdlib.h>

#include <cstdio>

#include <atoll/rpc/cluster.hh>
#include <atoll/sharding/app.hh>

namespace shop {

class stock {
 public:
  atoll::future<int> put(std::string item, int count) { co_return items_[item] += count; }

 private:
  std::map<std::string, int> items_;
};
ATOLL_SERVICE(stock, "shop.v1.Stock", ATOLL_METHOD(put, key(item), count));

}  // namespace shop

int main(int argc, char** argv) {
  atoll::app app("consumer", "Uses the installed package.");
  return app.run(argc, argv, []() -> atoll::future<int> {
    atoll::sharded<shop::stock> stock;
    co_await stock.start();
    int sum = 0;
    for (atoll::shard_id s = 0; s < atoll::shard_count(); ++s) sum += co_await stock.at(s).put("pearl", 1);
    const int owned = co_await stock.put("pearl", 40);
    co_await stock.stop();
    std::printf("%d %d %lld\n", sum, owned, std::atoll("1"));
    co_return owned == 41 && sum == static_cast<int>(atoll::shard_count()) ? 0 : 1;
  });
}
