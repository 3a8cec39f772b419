// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Accounts that are there when a message comes for them, tellers that move money between them from every shard at once, and
// accounts that go to live on other shards meanwhile. What is in all accounts together stays the same.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <atoll/sharding/app.hh>
#include <atoll/sharding/application.hh>
#include <atoll/sharding/keyed.hh>

constexpr std::int64_t accounts_in_all = 100;
std::int64_t first_balance(const std::string& account) { return 1'000 + 10 * std::stoll(account); }

/// Where accounts that leave keep their balance: by key, wherever they live.
class ledger {
 public:
  atoll::future<std::int64_t> load(std::string account) const {
    const auto at = rows_.find(account);
    return atoll::make_ready_future<std::int64_t>(at == rows_.end() ? first_balance(account) : at->second);
  }
  atoll::future<> store(std::string account, std::int64_t balance) {
    rows_[account] = balance;
    return atoll::make_ready_future();
  }

 private:
  std::map<std::string, std::int64_t> rows_;
};
ATOLL_SERVICE(ledger, "bank.Ledger", ATOLL_METHOD(load, key(account)), ATOLL_METHOD(store, key(account), balance));

class account : public atoll::actor<account, std::string> {
 public:
  static constexpr atoll::service_options options{.slots = 64};
  using depends_on = atoll::dependencies<ledger>;
  explicit account(atoll::sharded_ref<ledger> stored) : stored_(stored) {}

  atoll::future<> on_activate() { balance_ = co_await stored_.load(key()); }
  atoll::future<> on_deactivate() { return stored_.store(key(), balance_); }

  atoll::future<> withdraw(std::int64_t amount) {
    if (amount > balance_) co_await atoll::fail(atoll::status_code::failed_precondition, key() + " has not that much");
    balance_ -= amount;
  }
  atoll::future<> deposit(std::int64_t amount) {
    balance_ += amount;
    return atoll::make_ready_future();
  }
  atoll::future<std::int64_t> balance() const { return atoll::make_ready_future<std::int64_t>(balance_); }

 private:
  atoll::sharded_ref<ledger> stored_;
  std::int64_t balance_ = 0;
};
ATOLL_SERVICE(account, "bank.Account", ATOLL_METHOD(withdraw, amount), ATOLL_METHOD(deposit, amount),
              ATOLL_METHOD(balance));

/// Moves money. An account that called another would keep both busy, and two that called each other would wait for ever.
class teller {
 public:
  using depends_on = atoll::dependencies<account>;
  explicit teller(atoll::keyed_ref<account> accounts) : accounts_(accounts) {}

  atoll::future<> transfer(std::string from, std::string to, std::int64_t amount) {
    co_await accounts_.at(from).withdraw(amount);
    const auto arrived = co_await atoll::as_result(accounts_.at(to).deposit(amount));
    if (arrived) co_return;
    co_await accounts_.at(from).deposit(amount);  // back where it was
    co_await atoll::fail(arrived.error());
  }

  /// Some transfers at random, all at a time; how many were refused.
  atoll::future<int> work(int transfers) {
    std::vector<atoll::future<>> moves;
    for (int i = 0; i < transfers; ++i) {
      auto& random = atoll::this_shard().random;
      const auto from = std::to_string(random.below(accounts_in_all));
      const auto to = std::to_string(random.below(accounts_in_all));
      moves.push_back(transfer(from, to, static_cast<std::int64_t>(random.below(200))));
    }
    int refused = 0;
    for (auto& each : moves) {
      const auto outcome = co_await atoll::as_result(std::move(each));
      if (!outcome) ++refused;
    }
    co_return refused;
  }

 private:
  atoll::keyed_ref<account> accounts_;
};
ATOLL_SERVICE(teller, "bank.Teller", ATOLL_METHOD(transfer, key(from), to, amount), ATOLL_METHOD(work, transfers));

atoll::future<std::int64_t> total(atoll::keyed_ref<account> accounts) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < accounts_in_all; ++i) sum += co_await accounts.at(std::to_string(i)).balance();
  co_return sum;
}

/// Gives each slot of accounts to the next shard.
atoll::future<> move_all(atoll::keyed_ref<account> accounts) {
  const auto slots = accounts.slots();
  for (atoll::slot_id s = 0; s < slots.count(); ++s) {
    co_await slots.move(s, (slots.owner(s) + 1) % atoll::shard_count());
  }
}

atoll::future<int> demo() {
  atoll::application app(
      atoll::part<teller>(), atoll::part<ledger>(),
      atoll::part<atoll::keyed<account>>(atoll::keyed_options{.active_max = 20}));  // more come and go
  co_await app.start();
  auto& accounts = app.get<atoll::keyed<account>>();
  auto& tellers = app.get<teller>();

  const auto before = co_await total(accounts.ref());
  auto working = tellers.map_reduce(&teller::work, std::plus<>{}, 0, 2'000);
  co_await move_all(accounts.ref());
  const int refused = co_await std::move(working);
  const auto after = co_await total(accounts.ref());
  std::printf("%u tellers: %d transfers were refused\n", atoll::shard_count(), refused);
  std::printf("in all accounts: %lld before, %lld after\n", static_cast<long long>(before),
              static_cast<long long>(after));

  co_await app.stop();
  std::int64_t first = 0;
  for (std::int64_t i = 0; i < accounts_in_all; ++i) first += first_balance(std::to_string(i));
  co_return before == first&& after == first ? 0 : 1;
}

int main(int argc, char** argv) {
  atoll::app app("bank", "Moves money between keyed actors.");
  return app.run(argc, argv, [] { return demo(); });
}
