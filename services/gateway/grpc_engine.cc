// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/services/gateway/grpc_engine.hh>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <thread>

#include <grpc/support/log.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/metrics/status_metric.hh>
#include <atoll/services/gateway/reflection.hh>
#include <atoll/sharding/foreign.hh>
#include <atoll/sharding/topology.hh>

namespace atoll_root::atoll::services {
namespace {

grpc::Status to_status(const error& e) {
  // A client takes 8 KiB of trailers, percent-encoded, at most; longer ones would cost it the code too.
  constexpr std::size_t message_bytes_max = 1024;
  return {static_cast<grpc::StatusCode>(e.code()), wire::to_utf8(e.message().substr(0, message_bytes_max))};
}

std::string to_string(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

/// What is left of a call's deadline, and nothing for a call without one.
std::optional<duration> time_left(const grpc::ServerContext& context) {
  const gpr_timespec deadline = context.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) return std::nullopt;
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  constexpr std::int64_t longest = std::chrono::seconds(std::chrono::hours(24 * 365)).count();
  return std::chrono::seconds(std::clamp(left.tv_sec, -longest, longest)) + std::chrono::nanoseconds(left.tv_nsec);
}

}  // namespace

class grpc_engine::server {
 public:
  server(std::shared_ptr<const dispatcher> exposed, const gateway_options& options)
      : exposed_(std::move(exposed)),
        options_(options),
        reflection_(*exposed_),
        shards_(foreign_port::of_this_process()),
        home_(this_shard_id()) {}

  result<std::uint16_t> start();
  future<> stop();

 private:
  class call;

  /// Runs on the starting shard when the threads are done.
  struct stopped_task final : task {
    explicit stopped_task(server& s) noexcept : task(&run_on_shard), self(s) {}
    static void run_on_shard(task* t) noexcept {
      auto& self = static_cast<stopped_task*>(t)->self;
      self.closer_.join();
      self.metrics_.reset();
      self.all_stopped_.set_value();
    }
    server& self;
  };

  void serve();
  void close();
  void take_replies();
  /// A shard is done with a call. On that shard.
  void give_back(call& c) noexcept;

  /// What the shard that starts the gateway exports of it.
  struct metrics {
    metrics(const server& s, std::uint16_t port)
        : of(s), group(shard_metrics(), "atoll_gateway", {{"port", std::to_string(port)}}) {}
    const server& of;
    metric_group group;
    observable_status_counts calls{group, "calls_total", "Calls that ended.", [this](status_code code) {
                                     const auto& ended = of.ended_[static_cast<std::size_t>(code)];
                                     return ended.load(std::memory_order_relaxed);
                                   }};
    observable_gauge in_flight{group, "calls_in_flight", "Calls on their way to, on or from a shard.",
                               [this] { return of.dispatched_.load(std::memory_order_relaxed); }};
    observable_gauge open{group, "calls_open", "Calls that clients began, and the one that is waited for.",
                          [this] { return of.live_.load(std::memory_order_relaxed); }};
  };

  /// A call ends so. On the queue's thread.
  void count(status_code code) noexcept {
    ended_[static_cast<std::size_t>(code)].fetch_add(1, std::memory_order_relaxed);
  }

  const std::shared_ptr<const dispatcher> exposed_;
  const gateway_options options_;
  const reflection reflection_;
  const foreign_port shards_;
  const shard_id home_;
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> grpc_;
  std::jthread thread_;
  std::jthread closer_;
  std::uint64_t next_shard_ = 0;              // the queue's thread
  std::atomic<std::uint32_t> dispatched_{0};  // calls on their way to, on or from a shard
  std::atomic<std::uint32_t> live_{0};        // call objects, the one that waits for a client included
  std::array<std::atomic<std::uint64_t>, status_codes> ended_{};
  std::atomic<call*> replies_{nullptr};  // a stack, newest first
  grpc::Alarm replies_alarm_;
  stopped_task when_stopped_{*this};
  promise<> all_stopped_;
  std::optional<metrics> metrics_;  // of this shard
};

/// One call, and the tag of its events.
class grpc_engine::server::call final : task {
 public:
  explicit call(server& owner) noexcept : task(&run_on_shard), owner_(owner), stream_(&context_) {
    owner_.live_.fetch_add(1, std::memory_order_relaxed);
    owner_.service_.RequestCall(&context_, &stream_, owner_.queue_.get(), owner_.queue_.get(), this);
  }

  /// The next event of this call; false when it was the last.
  bool proceed(bool ok) {
    switch (next_) {
      case step::accepted:
        if (!ok) return false;  // the server shuts down
        new call(owner_);       // for the next one; deletes itself
        return accepted();
      case step::read:
        return ok ? received()
                  : finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "a unary call needs one request message"));
      case step::reflection_read:
        return ok ? reflect() : finish(grpc::Status::OK);
      case step::reflection_written:
        return ok ? read(step::reflection_read) : finish(grpc::Status::CANCELLED);
      case step::finished:
        return false;
    }
    return false;
  }

  /// The shard has answered. On the queue's thread.
  void replied() {
    if (!outcome_) {
      finish(to_status(outcome_.error()));
      return;
    }
    next_ = step::finished;
    owner_.count(status_code::ok);
    stream_.WriteAndFinish(to_buffer(*outcome_), grpc::WriteOptions(), grpc::Status::OK, this);
  }

  call* next_reply = nullptr;

 private:
  enum class step : std::uint8_t { accepted, read, reflection_read, reflection_written, finished };

  bool accepted() {
    if (owner_.live_.load(std::memory_order_relaxed) > owner_.options_.calls_open_max) {
      return finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many calls"));
    }
    if (reflection::serves(context_.method())) return read(step::reflection_read);
    if (owner_.exposed_->has(context_.method())) return read(step::read);
    return finish(to_status(owner_.exposed_->find(context_.method(), {}, 0).error()));
  }

  bool read(step then) {
    next_ = then;
    stream_.Read(&buffer_, this);
    return true;
  }

  bool finish(const grpc::Status& status) {
    next_ = step::finished;
    owner_.count(status.ok() ? status_code::ok
                             : status_code_from_wire(static_cast<std::uint64_t>(status.error_code())));
    stream_.Finish(status, this);
    return true;
  }

  bool reflect() {
    const auto answer = owner_.reflection_.answer(to_string(buffer_));
    if (!answer) return finish(to_status(answer.error()));
    next_ = step::reflection_written;
    stream_.Write(to_buffer(*answer), this);
    return true;
  }

  bool received() {
    request_ = to_string(buffer_);
    auto route = owner_.exposed_->find(context_.method(), request_, owner_.next_shard_++);
    if (!route) return finish(to_status(route.error()));
    if (owner_.dispatched_.load(std::memory_order_relaxed) >= owner_.options_.calls_in_flight_max) {
      return finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many calls under way"));
    }
    route_ = *route;
    left_ = time_left(context_).value_or(owner_.options_.call_timeout);
    owner_.dispatched_.fetch_add(1, std::memory_order_relaxed);
    owner_.shards_.send(*this, route_.shard);
    return true;
  }

  static void run_on_shard(task* t) noexcept { static_cast<void>(static_cast<call*>(t)->run()); }

  future<> run() {
    call_values values;
    values.deadline = saturating_add(mono_now(), left_);
    outcome_ = co_await as_result(with_context(values, [this] { return dispatcher::dispatch(route_, request_); }));
    owner_.give_back(*this);
  }

  server& owner_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_;
  grpc::ByteBuffer buffer_;
  step next_ = step::accepted;
  std::string request_;
  dispatcher::route route_;
  duration left_{};
  result<std::string> outcome_{std::string()};
};

result<std::uint16_t> grpc_engine::server::start() {
  // grpc++ logs what we report in our own words; the rest helps only who debugs grpc++ itself.
  // gRPC's threads float over the process's processors; made here they would share this shard's.
  const unbound_thread floating(local_sharding().processors);
  gpr_set_log_function([](gpr_log_func_args* line) { log_debug("grpc: {}", line->message); });
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options_.address.to_string(), grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // or a second server would share the port in silence
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.request_bytes_max));
  builder.RegisterAsyncGenericService(&service_);
  queue_ = builder.AddCompletionQueue();
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr || port == 0) {
    void* tag = nullptr;
    bool ok = false;
    queue_->Shutdown();
    while (queue_->Next(&tag, &ok)) continue;  // gRPC wants its queues empty when they go
    return error(status_code::unavailable, "gateway can't listen on " + options_.address.to_string());
  }
  for (const auto& [name, service] : exposed_->services()) {
    grpc_->GetHealthCheckService()->SetServingStatus(name, true);
  }
  new call(*this);  // deletes itself
  metrics_.emplace(*this, static_cast<std::uint16_t>(port));
  thread_ = std::jthread([this] { serve(); });
  return static_cast<std::uint16_t>(port);
}

void grpc_engine::server::serve() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    if (tag == &replies_) {
      take_replies();
    } else if (auto* c = static_cast<call*>(tag); !c->proceed(ok)) {
      delete c;
      if (live_.fetch_sub(1, std::memory_order_acq_rel) == 1) live_.notify_all();
    }
  }
}

void grpc_engine::server::give_back(call& c) noexcept {
  call* newest = replies_.load(std::memory_order_relaxed);
  do {
    c.next_reply = newest;
  } while (!replies_.compare_exchange_weak(newest, &c, std::memory_order_acq_rel, std::memory_order_relaxed));
  // Whoever finds the stack empty rings; the thread takes the whole stack only after it heard the bell.
  if (newest == nullptr) replies_alarm_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_MONOTONIC), &replies_);
}

void grpc_engine::server::take_replies() {
  call* c = replies_.exchange(nullptr, std::memory_order_acq_rel);
  std::uint32_t taken = 0;
  while (c != nullptr) {
    call* next = c->next_reply;
    c->replied();
    c = next;
    ++taken;
  }
  dispatched_.fetch_sub(taken, std::memory_order_relaxed);
}

future<> grpc_engine::server::stop() {
  grpc_->GetHealthCheckService()->SetServingStatus(false);
  closer_ = std::jthread([this] { close(); });
  return all_stopped_.get_future();
}

void grpc_engine::server::close() {
  const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(options_.drain_timeout).count();
  grpc_->Shutdown(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(wait, GPR_TIMESPAN)));
  // Cancelled or not, every call comes to its end, the ones on shards too, before the queue goes.
  for (auto left = live_.load(); left > 0; left = live_.load()) live_.wait(left);
  queue_->Shutdown();
  thread_.join();
  shards_.send(when_stopped_, home_);
}

grpc_engine::grpc_engine(std::shared_ptr<const dispatcher> exposed, const gateway_options& options)
    : server_(std::make_unique<server>(std::move(exposed), options)) {}
grpc_engine::~grpc_engine() = default;

result<std::uint16_t> grpc_engine::start() { return server_->start(); }
future<> grpc_engine::stop() { return server_->stop(); }

}  // namespace atoll_root::atoll::services
