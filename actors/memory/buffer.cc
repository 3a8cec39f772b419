// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/memory/buffer.hh>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace atoll_root::atoll {

buffer::buffer(std::size_t n) {
  if (n == 0) return;
  block_ = allocate_block(n);
  data_ = reinterpret_cast<char*>(block_ + 1);
  size_ = n;
}

result<buffer> buffer::try_allocate(std::size_t n) {
  try {
    return buffer(n);
  } catch (const std::bad_alloc&) {
    return error(status_code::resource_exhausted);  // a message would need memory
  }
}

buffer buffer::copy_of(std::string_view content) {
  buffer copy(content.size());
  if (copy.data_ != nullptr) std::memcpy(copy.data_, content.data(), content.size());
  return copy;
}

result<std::span<char>> buffer::writable() {
  if (!sole_owner()) {
    return error(status_code::failed_precondition,
                 fmt::format("{} buffers share these bytes: none may write them", block_->shares));
  }
  return std::span<char>(data_, size_);
}

buffer buffer::slice(std::size_t offset, std::size_t n) const noexcept {
  buffer part;
  if (n == 0) return part;
  ++block_->shares;
  part.block_ = block_;
  part.data_ = data_ + offset;
  part.size_ = n;
  return part;
}

result<buffer> buffer::share(std::size_t offset, std::size_t n) const {
  if (offset > size_ || n > size_ - offset) {
    return error(status_code::out_of_range, fmt::format("{} bytes from {} on, of a buffer of {}", n, offset, size_));
  }
  return slice(offset, n);
}

buffer buffer::detach() && {
  if (block_ == nullptr || (block_->shares == 1 && block_->holders == nullptr)) return std::move(*this);
  buffer copy = copy_of(view());
  clear();
  return copy;
}

detail::buffer_block* buffer::allocate_block(std::size_t bytes_behind) {
  if (bytes_behind > size_max) throw std::bad_alloc();
  const std::size_t allocated = sizeof(detail::buffer_block) + bytes_behind;
  return ::new (pool_allocate(allocated)) detail::buffer_block{1, allocated, nullptr};
}

void buffer::free_block(detail::buffer_block* block) noexcept {
  auto* holder = block->holders;
  pool_free(block, block->allocated);  // before the reservation of it is given back
  while (holder != nullptr) {
    auto* next = holder->next;
    holder->destroy(holder);
    holder = next;
  }
}

buffer_chain::piece* buffer_chain::make_piece(buffer&& content) {
  return ::new (pool_allocate(sizeof(piece))) piece{std::move(content)};
}

void buffer_chain::free_piece(piece* p) noexcept {
  p->~piece();
  pool_free(p, sizeof(piece));
}

void buffer_chain::append(buffer content) {
  if (content.empty()) return;
  piece* added = make_piece(std::move(content));
  (last_ == nullptr ? first_ : last_->next) = added;
  last_ = added;
  size_ += added->content.size();
  ++pieces_;
}

void buffer_chain::prepend(buffer content) {
  if (content.empty()) return;
  piece* added = make_piece(std::move(content));
  added->next = first_;
  first_ = added;
  if (last_ == nullptr) last_ = added;
  size_ += added->content.size();
  ++pieces_;
}

void buffer_chain::append(buffer_chain other) noexcept {
  if (other.empty()) return;
  (last_ == nullptr ? first_ : last_->next) = std::exchange(other.first_, nullptr);
  last_ = std::exchange(other.last_, nullptr);
  size_ += std::exchange(other.size_, 0);
  pieces_ += std::exchange(other.pieces_, 0);
}

std::size_t buffer_chain::fill_iovecs(std::span<iovec> out) const noexcept {
  std::size_t filled = 0;
  for (auto at = begin(); at != end() && filled < out.size(); ++at) {
    out[filled++] = iovec{const_cast<char*>((*at).data()), (*at).size()};
  }
  return filled;
}

buffer_chain buffer_chain::share() const {
  buffer_chain shared;
  for (const piece* p = first_; p != nullptr; p = p->next) shared.append(p->content.share());
  return shared;
}

result<buffer_chain> buffer_chain::take_front(std::size_t n) {
  if (n > size_) return error(status_code::out_of_range, fmt::format("{} bytes of a chain of {}", n, size_));
  buffer_chain taken;
  if (n == 0) return taken;
  if (n == size_) {
    swap(taken);
    return taken;
  }
  piece* last = nullptr;  // of those taken
  piece* rest = first_;
  std::size_t left = n;  // to be taken of `rest` and those behind it, which have more
  for (; left >= rest->content.size(); rest = rest->next) {
    left -= rest->content.size();
    last = rest;
    ++taken.pieces_;
  }
  if (left > 0) {
    piece* cut = make_piece(std::move(*rest->content.share(0, left)));
    rest->content.trim_front(left);
    (last == nullptr ? first_ : last->next) = cut;
    last = cut;
    ++taken.pieces_;
    ++pieces_;
  }
  last->next = nullptr;
  taken.first_ = std::exchange(first_, rest);
  taken.last_ = last;
  taken.size_ = n;
  size_ -= n;
  pieces_ -= taken.pieces_;
  return taken;
}

void buffer_chain::trim_front(std::size_t n) noexcept {
  while (first_ != nullptr && n >= first_->content.size()) {
    n -= first_->content.size();
    drop_first();
  }
  if (first_ == nullptr || n == 0) return;
  first_->content.trim_front(n);
  size_ -= n;
}

void buffer_chain::clear() noexcept {
  while (first_ != nullptr) drop_first();
}

void buffer_chain::drop_first() noexcept {
  piece* dropped = first_;
  first_ = dropped->next;
  if (first_ == nullptr) last_ = nullptr;
  size_ -= dropped->content.size();
  --pieces_;
  free_piece(dropped);
}

std::size_t buffer_chain::copy_to(std::span<char> out) const noexcept {
  std::size_t copied = 0;
  for (auto at = begin(); at != end() && copied < out.size(); ++at) {
    copied += (*at).copy(out.data() + copied, out.size() - copied);
  }
  return copied;
}

buffer buffer_chain::linearize() && {
  buffer all;
  if (pieces_ == 1) {
    all = first_->content.share();
  } else {
    all = buffer(size_);
    copy_to(*all.writable());
  }
  clear();
  return all;
}

buffer_chain buffer_chain::detach() && {
  for (piece* p = first_; p != nullptr; p = p->next) p->content = std::move(p->content).detach();
  return std::move(*this);
}

std::optional<std::size_t> buffer_chain::find(char byte, std::size_t from) const noexcept {
  std::size_t before = 0;
  for (const auto content : *this) {
    if (before + content.size() > from) {
      const auto at = content.find(byte, from > before ? from - before : 0);
      if (at != std::string_view::npos) return before + at;
    }
    before += content.size();
  }
  return std::nullopt;
}

bool operator==(const buffer_chain& a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (const auto content : a) {
    if (content != b.substr(0, content.size())) return false;
    b.remove_prefix(content.size());
  }
  return true;
}

bool operator==(const buffer_chain& a, const buffer_chain& b) noexcept {
  if (a.size() != b.size()) return false;
  std::string_view left;
  std::string_view right;
  auto next_left = a.begin();
  auto next_right = b.begin();
  for (auto rest = a.size(); rest > 0;) {
    if (left.empty()) left = *next_left++;
    if (right.empty()) right = *next_right++;
    const auto common = std::min(left.size(), right.size());
    if (left.substr(0, common) != right.substr(0, common)) return false;
    left.remove_prefix(common);
    right.remove_prefix(common);
    rest -= common;
  }
  return true;
}

void buffer_chain::swap(buffer_chain& other) noexcept {
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  std::swap(size_, other.size_);
  std::swap(pieces_, other.pieces_);
}

}  // namespace atoll_root::atoll
