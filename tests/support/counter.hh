// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The service that most tests use.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include <atoll/sharding/sharded.hh>

namespace demo {

struct hit {
  std::string name;
  std::int64_t total = 0;
};
ATOLL_MESSAGE(hit, name, total);

class counter {
 public:
  atoll::future<std::int64_t> add(std::string name, std::int64_t by) { co_return totals_[name] += by; }

  atoll::future<hit> read(std::string name) const {
    const auto found = totals_.find(name);
    co_return hit{name, found == totals_.end() ? 0 : found->second};
  }

  /// Fails with any code.
  atoll::future<> refuse(std::uint32_t code, std::string message) const {
    co_await atoll::fail(static_cast<atoll::status_code>(code), std::move(message));
  }

  atoll::future<> throw_it(std::string what) const {
    throw std::runtime_error(what);
    co_return;
  }

  /// Answers after a while; gives the time that the deadline leaves, or -1.
  atoll::future<std::int64_t> nap(std::int64_t ms) {
    ++napping_;
    const auto left =
        atoll::current_deadline() == atoll::never
            ? -1
            : std::chrono::duration_cast<std::chrono::milliseconds>(atoll::current_deadline() - atoll::mono_now())
                  .count();
    const auto slept = co_await atoll::as_result(atoll::sleep(std::chrono::milliseconds(ms)));
    --napping_;
    if (!slept) {
      ++naps_cut_short_;
      co_return slept.error();
    }
    co_return left;
  }

  atoll::future<std::string> echo(std::string text) const { co_return text; }
  atoll::future<atoll::bytes> make_bytes(std::uint64_t size) const { co_return atoll::bytes(std::string(size, 'x')); }
  atoll::future<std::string> make_bad_text() const { co_return std::string("\xff\xfe"); }
  atoll::future<std::uint32_t> where() const { co_return atoll::this_shard_id(); }
  atoll::future<std::int64_t> naps_cut_short() const { co_return naps_cut_short_; }

  std::size_t size() const { return totals_.size(); }
  std::int64_t napping() const { return napping_; }

 private:
  std::unordered_map<std::string, std::int64_t> totals_;
  std::int64_t napping_ = 0;
  std::int64_t naps_cut_short_ = 0;
};

ATOLL_SERVICE(counter, "demo.v1.Counter", ATOLL_METHOD(add, key(name), by), ATOLL_METHOD(read, key(name)),
              ATOLL_METHOD(refuse, code, message), ATOLL_METHOD(throw_it, what), ATOLL_METHOD(nap, ms),
              ATOLL_METHOD(echo, text), ATOLL_METHOD(make_bytes, size), ATOLL_METHOD(make_bad_text),
              ATOLL_METHOD(where), ATOLL_METHOD(naps_cut_short));

}  // namespace demo
