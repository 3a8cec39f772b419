// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Buffers in messages: what a shard gets is its own.
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <atoll/actors/memory/buffer.hh>
#include <atoll/sharding/foreign.hh>
#include <atoll/sharding/foreign_object.hh>
#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace buffers {

struct letter {
  std::string to;
  std::vector<atoll::buffer> pages;
  std::optional<atoll::buffer> stamp;
  std::variant<int, atoll::buffer> seal;
};
ATOLL_MESSAGE(letter, to, pages, stamp, seal);

std::uint64_t address_of(const atoll::buffer& b) { return reinterpret_cast<std::uintptr_t>(b.view().data()); }

/// Of its user; messages don't call it.
void depart(letter& /*of*/) { ADD_FAILURE(); }

/// Keeps a page, of which it gives shares.
class office {
 public:
  atoll::future<std::uint64_t> where(atoll::buffer b) {
    EXPECT_EQ(b.view(), "some bytes");
    return atoll::make_ready_future<std::uint64_t>(address_of(b));
  }
  atoll::future<bool> all_are_its_own(letter all) {
    bool own = all.stamp->sole_owner() && std::get<atoll::buffer>(all.seal).sole_owner();
    for (const auto& page : all.pages) own = own && page.sole_owner() && page.view() == "page";
    return atoll::make_ready_future<bool>(own);
  }
  atoll::future<bool> first_is_its_own(std::vector<letter> all) {
    return atoll::make_ready_future<bool>(all.at(0).pages.at(0).sole_owner());
  }
  atoll::future<atoll::buffer> share() { return atoll::make_ready_future<atoll::buffer>(page_.share()); }
  atoll::future<atoll::buffer> share_later() {
    co_await atoll::yield();
    co_return page_.share();
  }
  atoll::future<atoll::buffer_chain> chain() {
    atoll::buffer_chain all(page_.share());
    all.append(page_.share());
    return atoll::make_ready_future<atoll::buffer_chain>(std::move(all));
  }
  atoll::stream<atoll::buffer> shares(int how_many) {
    for (int i = 0; i < how_many; ++i) co_yield page_.share();
  }
  atoll::future<int> count_own(atoll::stream<atoll::buffer> all) {
    int own = 0;
    while (const auto next = co_await all.next()) own += next->sole_owner() ? 1 : 0;
    co_return own;
  }
  [[nodiscard]] bool has_its_page_alone() const { return page_.sole_owner(); }

 private:
  atoll::buffer page_ = atoll::buffer::copy_of("some bytes");
};
ATOLL_SERVICE(office, "test.v1.Office", ATOLL_METHOD(where, b), ATOLL_METHOD(all_are_its_own, all),
              ATOLL_METHOD(first_is_its_own, all), ATOLL_METHOD(share), ATOLL_METHOD(share_later), ATOLL_METHOD(chain),
              ATOLL_METHOD(shares, how_many), ATOLL_METHOD(count_own, all));

class clerk : public atoll::actor<clerk, std::uint64_t> {
 public:
  atoll::future<bool> owns(atoll::buffer b) { return atoll::make_ready_future<bool>(b.sole_owner()); }
};
ATOLL_SERVICE(clerk, "test.v1.Clerk", ATOLL_METHOD(owns, b));

}  // namespace buffers

namespace {

using atoll::buffer;
using atoll::future;
using atoll::sharded;
using buffers::address_of;
using buffers::letter;
using buffers::office;

ATOLL_TEST(buffers, that_have_one_owner_go_to_another_shard_as_they_are) {
  sharded<office> offices;
  co_await offices.start();
  for (const atoll::shard_id at : {0U, 1U}) {
    auto b = buffer::copy_of("some bytes");
    const auto here = address_of(b);
    EXPECT_EQ(co_await offices.at(at).where(std::move(b)), here);
  }
  co_await offices.stop();
}

ATOLL_TEST(buffers, that_are_shared_become_copies_on_another_shard) {
  sharded<office> offices;
  co_await offices.start();
  const auto kept = buffer::copy_of("some bytes");
  EXPECT_EQ(co_await offices.at(0).where(kept.share()), address_of(kept)) << "not within a shard";
  EXPECT_NE(co_await offices.at(1).where(kept.share()), address_of(kept));
  EXPECT_TRUE(kept.sole_owner()) << "the share that was given is gone";
  co_await offices.stop();
}

ATOLL_TEST(buffers, are_found_wherever_they_are_in_an_argument) {
  sharded<office> offices;
  co_await offices.start();
  const auto page = buffer::copy_of("page");
  letter all{.to = "ann", .pages = {}, .stamp = page.share(), .seal = page.share()};
  for (int i = 0; i < 3; ++i) all.pages.push_back(page.share());
  EXPECT_TRUE(co_await offices.at(1).all_are_its_own(std::move(all)));
  std::vector<letter> letters(1);
  letters[0].pages.push_back(page.share());
  EXPECT_TRUE(co_await offices.at(1).first_is_its_own(std::move(letters)));
  EXPECT_TRUE(page.sole_owner());
  atoll::keyed<buffers::clerk> clerks;
  co_await clerks.start();
  std::uint64_t key = 0;
  while (clerks.at(key).shard() != 1) ++key;
  EXPECT_TRUE(co_await clerks.at(key).owns(page.share()));
  co_await clerks.stop();
  co_await offices.stop();
}

/// On the shard that keeps the page; what was given of it may be on its way to its end there.
future<bool> has_its_page_alone(sharded<office>& offices, atoll::shard_id at) {
  const auto each = co_await offices.map(&office::has_its_page_alone);
  co_return each[at];
}

ATOLL_TEST(buffers, that_are_results_belong_to_the_caller) {
  sharded<office> offices;
  co_await offices.start();
  const auto there = offices.at(1);
  const auto at_once = co_await there.share();
  const auto later = co_await there.share_later();
  for (const auto* got : {&at_once, &later}) {
    EXPECT_EQ(got->view(), "some bytes");
    EXPECT_TRUE(got->sole_owner());
  }
  const auto several = co_await there.chain();
  EXPECT_EQ(several, "some bytessome bytes");
  auto page = co_await atoll::submit_to(1, [] { return buffer::copy_of("some bytes"); });
  EXPECT_TRUE(page.sole_owner());
  auto away = co_await atoll::submit_to(1, [] { return atoll::make_foreign<buffer>(buffer::copy_of("some bytes")); });
  const auto share = co_await away.call([](buffer& b) { return b.share(); });
  EXPECT_TRUE(share.sole_owner());
  EXPECT_TRUE(co_await has_its_page_alone(offices, 1));
  EXPECT_FALSE((co_await offices.at(0).share()).sole_owner()) << "not within a shard";
  co_await offices.stop();
}

ATOLL_TEST(buffers, travel_in_streams) {
  sharded<office> offices;
  co_await offices.start();
  auto all = offices.at(1).shares(1'000);
  int own = 0;
  while (const auto next = co_await all.next()) own += next->sole_owner() && next->view() == "some bytes" ? 1 : 0;
  EXPECT_EQ(own, 1'000);
  EXPECT_TRUE(co_await has_its_page_alone(offices, 1));
  const auto page = buffer::copy_of("page");
  const auto shares = [](const buffer& of) -> atoll::stream<buffer> {
    for (int i = 0; i < 300; ++i) co_yield of.share();
  };
  EXPECT_EQ(co_await offices.at(1).count_own(shares(page)), 300);
  EXPECT_TRUE(page.sole_owner());
  co_await offices.stop();
}

ATOLL_TEST(buffers, go_to_threads_that_are_no_shards) {
  const auto port = atoll::foreign_port::of_this_process();
  const auto page = buffer::copy_of("some bytes");
  std::atomic<bool> done = false;
  std::thread thread([&] {
    const auto got = port.submit_to(0, [&page] { return page.share(); }).get();
    EXPECT_EQ(got.view(), "some bytes");
    EXPECT_NE(address_of(got), address_of(page));
    done = true;
  });
  while (!done) co_await atoll::yield();
  thread.join();
  EXPECT_TRUE(page.sole_owner());
}

}  // namespace
