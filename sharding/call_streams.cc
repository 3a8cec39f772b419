// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/call_streams.hh>

#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

void detail::stream_block::arrive(task* t) noexcept {
  auto& self = *static_cast<stream_block*>(t);
  self.way->call->arrived(self);
}

call_streams_base::call_streams_base(shard_id to) : from_(this_shard_id()), to_(to) {
  local_sharding().streams.push_back(*this);
}

void call_streams_base::add(detail::stream_way& way, bool with_record) noexcept {
  (ways_[0] == nullptr ? ways_[0] : ways_[1]) = &way;
  way.call = this;
  for (detail::stream_block* block : way.blocks) {
    block->way = &way;
    block->to_callee = with_record;
    block->rests_there = with_record;
  }
  if (with_record) way.away = way.blocks.size();
}

void call_streams_base::detach_near(detail::stream_way& way) noexcept {
  way.near = nullptr;
  free_if_done();
}

void call_streams_base::record_gone() noexcept {
  record_gone_ = true;
  for (detail::stream_way* way : ways_) {
    if (way == nullptr) continue;
    for (detail::stream_block* block : way->blocks) {
      if (block->rests_there) --way->away;
    }
  }
  free_if_done();
}

void call_streams_base::free_if_done() noexcept {
  if (!record_gone_ || pinned_) return;
  for (const detail::stream_way* way : ways_) {
    if (way != nullptr && (way->near != nullptr || way->away > 0)) return;
  }
  delete this;
}

void call_streams_base::free_rest(sharding_local& shard) noexcept {
  while (call_streams_hook* hook = shard.streams.pop_front()) {
    auto* each = static_cast<call_streams_base*>(hook);
    bool awaited = !each->record_gone_ || each->pinned_;
    for (const detail::stream_way* way : each->ways_) awaited = awaited || (way != nullptr && way->near != nullptr);
    if (!awaited) delete each;
  }
}

void call_streams_base::opened() noexcept {
  if (is_local()) return open_note::arrive(&note_);
  local_sharding().mail.send(note_, from_);
}

void call_streams_base::open_note::arrive(task* t) noexcept {
  call_streams_base& self = static_cast<open_note*>(t)->streams;
  self.is_open_ = true;
  self.caller_->release_place();
  for (detail::stream_way* way : self.ways_) {
    if (way != nullptr && way->near != nullptr) way->near->opened();
  }
}

void call_streams_base::nobody_reads(detail::stream_way& way) noexcept {
  if (refusal_.way != nullptr) return;
  refusal_.way = &way;
  if (is_local()) return refusal_note::arrive(&refusal_);
  local_sharding().mail.send(refusal_, from_);
}

void call_streams_base::refusal_note::arrive(task* t) noexcept {
  detail::stream_way& way = *static_cast<refusal_note*>(t)->way;
  way.refused = true;  // for a producer that is about to begin
  if (way.near != nullptr) way.near->nobody_reads();
}

void call_streams_base::call_ended() noexcept {
  for (detail::stream_way* way : ways_) {
    if (way != nullptr && way->far != nullptr) way->far->call_ended();
  }
}

void call_streams_base::send(detail::stream_block& block) noexcept {
  const bool from_callee = block.to_callee;
  block.to_callee = !from_callee;
  if (from_callee) {
    // One that is refused didn't rest: the caller may be looking, for the record is back.
    if (block.rests_there) block.rests_there = false;
  } else {
    ++block.way->away;
  }
  if (is_local()) return arrived(block);
  local_sharding().mail.send_now(block, from_callee ? from_ : to_);
}

void call_streams_base::arrived(detail::stream_block& block) noexcept {
  detail::stream_way& way = *block.way;
  if (block.to_callee) {
    if (way.far == nullptr) {
      block.refused = true;
      return send(block);
    }
    block.rests_there = true;
    return way.far->arrived(block);
  }
  --way.away;
  if (way.near != nullptr) return way.near->arrived(block);
  free_if_done();
}

}  // namespace atoll_root::atoll
