#include <atoll/sharding/app.hh>
#include <atoll/sharding/sharded.hh>
#include <cstdio>
#include <unordered_map>
namespace demo {
struct hit { std::string name; std::int64_t total; };
ATOLL_MESSAGE(hit, name, total);
class counter {
 public:
  atoll::future<std::int64_t> add(std::string name, std::int64_t by) { co_return totals_[name] += by; }
  atoll::future<hit> read(std::string name) const { auto i=totals_.find(name); co_return hit{name, i==totals_.end()?0:i->second}; }
  atoll::future<> nap(std::int64_t ms) { co_await atoll::sleep(std::chrono::milliseconds(ms)); }
  std::size_t size() const { return totals_.size(); }
  atoll::future<> stop() { std::printf("stop on %u\n", atoll::this_shard_id()); return atoll::make_ready_future(); }
 private:
  std::unordered_map<std::string, std::int64_t> totals_;
};
ATOLL_SERVICE(counter, "demo.v1.Counter", ATOLL_METHOD(add, key(name), by), ATOLL_METHOD(read, key(name)), ATOLL_METHOD(nap, ms));
}
using namespace std::chrono_literals;
int main(int argc, char** argv) {
  atoll::app app("smoke", "x");
  return app.run(argc, argv, []() -> atoll::future<int> {
    atoll::sharded<demo::counter> c;
    co_await c.start();
    auto n = co_await c.at(1).add("hits", 5);
    auto m = co_await c.add("hits", 5);
    auto h = co_await c.read("hits");
    std::printf("%ld %ld %ld\n", n, m, h.total);
    for (int i = 0; i < 1000; ++i) co_await c.add(std::to_string(i), 1);
    auto s = co_await c.map_reduce(&demo::counter::size, std::plus<>{}, std::size_t{0});
    std::printf("size %zu\n", s);
    auto r = co_await atoll::as_result(c.at(1).within(20ms).nap(1000));
    std::printf("%s\n", r ? "?" : r.error().to_string().c_str());
    auto t0 = atoll::mono_now();
    for (int i = 0; i < 100000; ++i) co_await c.at(1).add("x", 1);
    auto t1 = atoll::mono_now();
    std::printf("%ld ns a call\n", (t1 - t0).count() / 100000);
    co_await c.stop();
    auto z = co_await atoll::as_result(c.at(1).add("x", 1));
    std::printf("%s\n", z ? "?" : z.error().to_string().c_str());
    co_return 0;
  });
}
