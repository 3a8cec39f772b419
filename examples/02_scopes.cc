// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A pool of workers behind a bounded channel: it waits while it is full, finishes what is queued, or stops at once.
#include <cstdio>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/channel.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/app.hh>

using namespace std::chrono_literals;

class worker_pool {
 public:
  worker_pool(int workers, atoll::duration pace) : pace_(pace) {
    while (workers-- > 0) workers_.spawn([this] { return work(); });
  }
  /// Waits while the queue is full, as long as the caller's deadline lets it.
  atoll::future<> submit(int job) { return jobs_.push(job); }
  /// Takes no more; ready when all that was taken is done.
  atoll::future<> finish() {
    jobs_.close();
    return workers_.close();
  }
  /// Ends the waits of the workers; ready when they have ended.
  atoll::future<> stop() { return workers_.stop(); }
  int done() const { return done_; }

 private:
  atoll::future<> work() {
    while (auto job = co_await atoll::or_fail(jobs_.pop())) {
      co_await atoll::or_fail(atoll::sleep(pace_));
      done_ += *job;
    }
  }

  const atoll::duration pace_;
  int done_ = 0;
  atoll::channel<int> jobs_{"jobs", 4};
  atoll::scope workers_{"workers"};  // destroyed first; stop() or finish() before that
};

atoll::future<int> demo() {
  worker_pool quick(3, 1ms);
  for (int i = 0; i < 20; ++i) co_await quick.submit(1);
  co_await quick.finish();
  std::printf("finished: %d of 20 jobs done\n", quick.done());

  worker_pool slow(2, 1h);
  for (int i = 0; i < 6; ++i) co_await slow.submit(1);  // two at work, four queued: full
  const auto seventh = co_await atoll::as_result(atoll::with_timeout(5ms, [&slow] { return slow.submit(1); }));
  std::printf("a seventh: %s\n", seventh ? "taken" : seventh.error().to_string().c_str());
  co_await slow.stop();
  std::printf("stopped: %d done\n", slow.done());
  co_return quick.done() == 20 && !seventh && slow.done() == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  atoll::app app("scopes", "Shows scopes, channels and deadlines.");
  return app.run(argc, argv, [] { return demo(); });
}
