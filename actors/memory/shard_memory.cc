// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/memory/shard_memory.hh>

#include <atoll/actors/memory/allocator.hh>
#include <atoll/actors/memory/block_returns.hh>
#include <atoll/actors/metrics/metrics.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

reclaimer::reclaimer(function reclaim, int order) : reclaim_(std::move(reclaim)), order_(order) {
  if (!on_shard() || this_shard().memory == nullptr) return;
  this_shard().memory->add(*this);
}

reclaimer::~reclaimer() = default;

struct shard_memory::metrics {
  metrics(const shard_memory& memory, metrics_registry* registry) : self(memory), group(registry, "atoll_memory") {}

  const shard_memory& self;
  metric_group group;
  observable_gauge budget{group, "budget_bytes", "Memory the shard may use; 0: nobody said.",
                          [this] { return self.budget_bytes_; }};
  observable_gauge used{group, "used_bytes", "Memory in blocks; 0 where the budget is not enforced.",
                        [this] { return self.statistics().used_bytes; }};
  observable_gauge held{group, "held_bytes", "Memory in the pages of these blocks.",
                        [this] { return self.statistics().held_bytes; }};
  observable_counter reclaims{group, "reclaims_total", "Times reclaimers or free lists gave memory back.",
                              [this] { return self.reclaims_; }};
  observable_counter reclaimed{group, "reclaimed_bytes_total", "What they gave back.",
                               [this] { return self.reclaimed_bytes_; }};
  observable_counter failures{group, "failures_total", "Allocations that failed for want of memory.",
                              [this] { return self.failures_; }};
  observable_counter elsewhere{group, "blocks_from_elsewhere_total", "Blocks freed here that another shard allocated.",
                               [this] { return self.statistics().blocks_from_elsewhere; }};
};

shard_memory::shard_memory(std::uint64_t budget_bytes, const memory_range& range)
    : budget_bytes_(budget_bytes), range_(range) {
  detail::ask_reclaimers_for_memory();
  if (range_.start == nullptr) return;
  heap_ = detail::open_heap(range_);
  if (heap_ != nullptr) heap_before_ = detail::exchange_heap(heap_);
}

shard_memory::~shard_memory() {
  detach();
  if (heap_ == nullptr) return;
  detail::exchange_heap(heap_before_);
  detail::close_heap(heap_);
}

void shard_memory::attach(shard& s) {
  auto told = std::make_unique<metrics>(*this, s.metrics);
  if (heap_ != nullptr && !range_.shared && range_.arena >= 1 &&
      static_cast<std::size_t>(range_.arena) <= detail::block_owners_max) {
    returns_ = std::make_unique<detail::block_returns>(range_.arena);
  }
  metrics_ = std::move(told);
  s.returns = returns_.get();
  s.memory = this;
  if (heap_ != nullptr) s.own_range = {reinterpret_cast<std::uintptr_t>(range_.start), range_.bytes};
  shard_ = &s;
}

void shard_memory::detach() noexcept {
  if (shard_ == nullptr) return;
  metrics_.reset();
  if (returns_ != nullptr) returns_->end(shard_->blocks);
  shard_->returns = nullptr;
  returns_.reset();
  shard_->memory = nullptr;
  shard_->own_range = {};
  shard_ = nullptr;
}

memory_statistics shard_memory::statistics() const noexcept {
  memory_statistics s;
  s.budget_bytes = budget_bytes_;
  s.enforced = heap_ != nullptr;
  if (heap_ != nullptr) {
    const auto use = detail::use_of(heap_);
    s.used_bytes = use.blocks_bytes;
    s.held_bytes = use.pages_bytes;
  }
  s.reclaims = reclaims_;
  s.reclaimed_bytes = reclaimed_bytes_;
  s.failures = failures_;
  if (shard_ != nullptr) s.blocks_from_elsewhere = shard_->blocks_from_elsewhere;
  return s;
}

void shard_memory::add(reclaimer& r) noexcept {
  intrusive_list<reclaimer> later;
  for (auto at = reclaimers_.begin(); at != reclaimers_.end();) {
    reclaimer& each = *at;
    ++at;
    if (each.order_ <= r.order_) continue;
    each.unlink();
    later.push_back(each);
  }
  reclaimers_.push_back(r);
  reclaimers_.splice(later);
}

bool shard_memory::reclaim(std::size_t wanted) noexcept {
  if (reclaiming_ || shard_ == nullptr) return false;
  reclaiming_ = true;
  if (returns_ != nullptr) returns_->take_arrived(shard_->blocks);
  std::size_t freed = shard_->blocks.release();
  for (auto at = reclaimers_.begin(); freed == 0 && at != reclaimers_.end(); ++at) {
    try {
      freed = (*at).reclaim_(wanted);
    } catch (...) {
      freed = 0;
    }
  }
  reclaiming_ = false;
  if (freed == 0) return false;
  ++reclaims_;
  reclaimed_bytes_ += freed;
  return true;
}

void shard_memory::count_failure(std::size_t wanted) noexcept {
  ++failures_;
  if (reclaiming_) return;
  reclaiming_ = true;  // the line itself may need memory
  logger("memory").warning(complaints_, "an allocation failed: nothing left, and nothing to reclaim",
                           kv("wanted", wanted), kv("budget", budget_bytes_));
  reclaiming_ = false;
}

}  // namespace atoll_root::atoll
