// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/connection.hh>

#include <algorithm>
#include <new>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/reactor/points.hh>

namespace atoll_root::atoll::rpc {
namespace {

constexpr std::size_t in_bytes_least = 64U << 10;
/// A buffer that a large frame made larger than this is given back when it is empty.
constexpr std::size_t in_bytes_kept = 1U << 20;

}  // namespace

void connection::stall_timer::fire(timer_node* t) noexcept {
  static_cast<stall_timer*>(t)->self.close(
      error(status_code::deadline_exceeded, "a frame was begun and not finished in time"));
}

void connection::flush_soon() {
  if (unsent_bytes() > unsent_bytes_max) {
    close(error(status_code::resource_exhausted, "the peer does not read what it is sent"));
  }
  if (sender_runs_ || !stream_ || closed()) return;
  sender_runs_ = true;
  // It writes for all, in the context of none: a caller's deadline must not end the connection of the others.
  const detail::context_scope none(nullptr);
  auto sent = send_out();  // ends with the connection
  if (!sent.available() || !sent.failed()) return;
  sender_runs_ = false;  // no memory to begin with
  close(sent.take_error());
}

future<> connection::send_out() {
  const auto keep = shared_from_this();
  // Later in this pass of the loop others may put frames too: they go out in the same write.
  co_await yield();
  while (!out_.empty() && !closed()) {
    std::swap(sending_, out_);
    auto sent = co_await as_result(stream_->write_all(sending_));
    if (sent) counts_->bytes_sent += sending_.size();
    sending_.clear();
    if (ATOLL_MUTANT(13)) out_.clear();
    if (!sent) close(std::move(sent).error());
  }
  if (closed()) out_.clear();
  sender_runs_ = false;
  for (auto& waiter : std::exchange(flush_waiters_, {})) waiter.set_value();
}

future<> connection::flushed() {
  if (!sender_runs_) return make_ready_future();
  return flush_waiters_.emplace_back().get_future();
}

void connection::close(error why) noexcept {
  if (closed()) return;
  closed_ = std::move(why);
  stall_.cancel();
  if (stream_) stream_->shutdown();
}

void connection::make_room() {
  if (in_begin_ == in_end_) {
    in_begin_ = in_end_ = 0;
    if (in_.size() > in_bytes_kept) std::string().swap(in_);
  }
  if (in_end_ < in_.size()) return;
  if (in_begin_ > 0) {
    in_.erase(0, in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
  }
  in_.resize(std::max(ATOLL_KNOB(connection_in_bytes, in_bytes_least, 64, in_bytes_least), in_end_ * 2));
}

std::optional<error> connection::take_frames(const handler& on_frame) {
  const std::size_t before = in_begin_;
  while (in_end_ - in_begin_ >= header_bytes) {
    const std::string_view unread(in_.data() + in_begin_, in_end_ - in_begin_);
    const auto header = parse_header(unread);
    if (!header) return header.error();
    if (unread.size() < header_bytes + header->body_bytes) {
      ATOLL_SOMETIMES("rpc: a frame came in pieces");
      break;
    }
    const auto body = unread.substr(header_bytes, header->body_bytes);
    if (auto failed = on_frame({header->kind, header->call_id, body})) return failed;
    in_begin_ += header_bytes + header->body_bytes;
  }
  // The stall timer runs while a frame is incomplete, from when its first bytes came.
  if (in_begin_ > before) stall_.cancel();
  if (in_begin_ < in_end_ && !stall_.armed()) {
    this_shard().timers->arm(stall_, saturating_add(mono_now(), frame_timeout_));
  }
  return std::nullopt;
}

future<> connection::end_with(error why) {
  // What was put before, and the reason, still go out, if the peer takes them in time.
  put_failure(out_, 0, why);
  stall_.cancel();
  this_shard().timers->arm(stall_, saturating_add(mono_now(), frame_timeout_));
  flush_soon();
  co_await flushed();
  close(std::move(why));
}

future<> connection::run(std::unique_ptr<tcp_stream> stream, std::string received, handler on_frame) {
  const auto keep = shared_from_this();
  stream_ = std::move(stream);
  in_ = std::move(received);
  in_end_ = in_.size();
  counts_->bytes_received += in_end_;
  if (closed()) stream_->shutdown();
  if (!out_.empty()) flush_soon();
  while (!closed()) {
    std::optional<error> failed;
    try {
      failed = take_frames(on_frame);
    } catch (const std::bad_alloc&) {
      failed.emplace(status_code::resource_exhausted);
    }
    if (failed) {
      co_await end_with(std::move(*failed));
      break;
    }
    if (role_ == role::serves &&
        unsent_bytes() > ATOLL_KNOB(connection_pause, unsent_bytes_pause, 1, unsent_bytes_pause)) {
      ATOLL_SOMETIMES("rpc: a server stopped reading until its replies had gone");
      co_await flushed();
      continue;
    }
    make_room();
    auto read = co_await as_result(stream_->read_some(std::span<char>(in_.data() + in_end_, in_.size() - in_end_)));
    if (!read) {
      close(std::move(read).error());
    } else if (*read == 0) {
      close(error(status_code::unavailable, "the peer closed the connection"));
    } else {
      in_end_ += *read;
      counts_->bytes_received += *read;
    }
  }
  co_await flushed();
  stream_.reset();  // others may hold this object a while
}

}  // namespace atoll_root::atoll::rpc
