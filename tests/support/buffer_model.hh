// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Operations on buffers and chains, read from bytes and done twice: on the real ones and on a model of std::strings and
// shared_ptrs. After each operation the two have to agree: on bytes, pieces, owners, and on what is still attached.
//
//   EXPECT_EQ(buffer_model::run(random_bytes), "");     // else it says which operation broke what
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <atoll/actors/memory/buffer.hh>

namespace buffer_model {

inline constexpr std::size_t buffers = 4;
inline constexpr std::size_t chains = 3;
inline constexpr int operations_max = 300;
inline constexpr std::size_t chain_bytes_max = 8192;  // operations that would make a longer one are left out
inline constexpr std::size_t chain_pieces_max = 64;

/// Counts itself while it lives. What moves on takes the count with it.
class counted {
 public:
  explicit counted(std::size_t& alive) noexcept : alive_(&alive) { ++alive; }
  counted(counted&& other) noexcept : alive_(std::exchange(other.alive_, nullptr)) {}
  counted& operator=(counted&&) = delete;
  ~counted() {
    if (alive_ != nullptr) --*alive_;
  }

 private:
  std::size_t* alive_;
};

struct model_block {
  std::deque<counted> holders;
};

struct model_buffer {
  std::string bytes;
  std::shared_ptr<model_block> block;  // its owners are the buffers that share; null exactly where there are no bytes

  model_buffer() = default;
  explicit model_buffer(std::string content) : bytes(std::move(content)) {
    if (!bytes.empty()) block = std::make_shared<model_block>();
  }
  model_buffer slice(std::size_t offset, std::size_t n) const {
    model_buffer part;
    part.bytes = bytes.substr(offset, n);
    if (!part.bytes.empty()) part.block = block;
    return part;
  }
  void keep(std::size_t offset, std::size_t n) { *this = slice(std::min(offset, bytes.size()), n); }
  bool sole_owner() const { return block == nullptr || block.use_count() == 1; }
  model_buffer detach() {
    model_buffer detached = std::exchange(*this, {});
    if (detached.block == nullptr || (detached.sole_owner() && detached.block->holders.empty())) return detached;
    return model_buffer(detached.bytes);
  }
};

struct model_chain {
  std::deque<model_buffer> pieces;

  std::string bytes() const {
    std::string all;
    for (const auto& p : pieces) all += p.bytes;
    return all;
  }
  void append(model_buffer b) {
    if (!b.bytes.empty()) pieces.push_back(std::move(b));
  }
  model_chain take_front(std::size_t n) {
    model_chain taken;
    while (n > 0) {
      auto& front = pieces.front();
      const auto here = std::min(n, front.bytes.size());
      taken.append(front.slice(0, here));
      front.keep(here, std::string::npos);
      if (front.bytes.empty()) pieces.pop_front();
      n -= here;
    }
    return taken;
  }
};

class machine {
 public:
  explicit machine(std::string_view operations) : rest_(operations) {}

  /// Empty, or what is wrong.
  std::string run() {
    for (operation_ = 0; operation_ < operations_max && !rest_.empty() && problem_.empty(); ++operation_) {
      kind_ = byte() % 22;
      step();
      check();
    }
    if (!problem_.empty()) return problem_;
    for (auto& b : real_) b = atoll::buffer();
    for (auto& c : real_chains_) c.clear();
    expect(alive_ == 0, "all that was attached is gone with the last buffer");
    return problem_;
  }

 private:
  unsigned byte() {
    if (rest_.empty()) return 0;
    const auto next = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return next;
  }
  /// Mostly small; some lengths need a block that is not pooled.
  std::size_t length() {
    const auto n = byte();
    return n < 240 ? n % 48 : (n - 240) * 128;
  }
  std::string content() {
    std::string made(length(), '\0');
    for (auto& c : made) c = static_cast<char>(next_content_++ % 251);
    return made;
  }
  void expect(bool holds, std::string_view what) {
    if (holds || !problem_.empty()) return;
    problem_ =
        "operation " + std::to_string(operation_) + " of kind " + std::to_string(kind_) + ": " + std::string(what);
  }
  void expect_error(const atoll::error& e, atoll::status_code code) { expect(e.code() == code, "the error's code"); }

  void step() {
    if (kind_ < 12) return buffer_step();
    chain_step();
  }

  void buffer_step() {
    const std::size_t i = byte() % buffers;
    auto& real = real_[i];
    auto& model = model_[i];
    switch (kind_) {
      case 0: {
        const auto bytes = content();
        real = atoll::buffer::copy_of(bytes);
        model = model_buffer(bytes);
        break;
      }
      case 1: {
        const auto bytes = content();
        real = atoll::buffer(bytes.size());
        bytes.copy(real.writable().value().data(), bytes.size());
        model = model_buffer(bytes);
        break;
      }
      case 2:
        return wrap(real, model);
      case 3: {
        const std::size_t j = byte() % buffers;
        real_[j] = real.share();
        model_[j] = model.slice(0, std::string::npos);
        break;
      }
      case 4:
        return share_part(i, byte() % buffers);
      case 5: {
        const auto n = length();
        real.trim_front(n);
        model.keep(n, std::string::npos);
        break;
      }
      case 6: {
        const auto n = length();
        real.trim(n);
        model.keep(0, n);
        break;
      }
      case 7:
        real.attach(counted(alive_));
        if (model.block != nullptr) model.block->holders.emplace_back(model_alive_);
        break;
      case 8:
        return write(real, model);
      case 9: {
        const std::size_t j = byte() % buffers;
        auto detached = model.detach();
        real_[j] = std::move(real).detach();
        model_[j] = std::move(detached);
        break;
      }
      case 10: {
        const std::size_t j = byte() % buffers;
        auto moved = std::exchange(model, {});
        real_[j] = std::move(real);  // maybe onto itself
        model_[j] = std::move(moved);
        break;
      }
      default:
        expect((real == real_[0]) == (model.bytes == model_[0].bytes), "buffers are equal as their bytes are");
        real.clear();
        model = {};
    }
  }

  void wrap(atoll::buffer& real, model_buffer& model) {
    const auto bytes = content();
    auto memory = std::make_unique<std::vector<char>>(bytes.begin(), bytes.end());
    const std::span<char> all(*memory);
    real = atoll::buffer::wrap(all, [memory = std::move(memory), life = counted(alive_)]() mutable {
      std::fill(memory->begin(), memory->end(), 'x');  // whoever still reads it, reads this
      memory.reset();
    });
    model = model_buffer(bytes);
    if (model.block != nullptr) model.block->holders.emplace_back(model_alive_);
  }

  void share_part(std::size_t i, std::size_t j) {
    const auto offset = length();
    const auto n = length();
    auto part = real_[i].share(offset, n);
    const bool inside = offset + n <= model_[i].bytes.size();
    expect(part.has_value() == inside, "a share is of bytes that are there");
    if (part) {
      real_[j] = std::move(*part);
      model_[j] = model_[i].slice(offset, n);
    } else {
      expect_error(part.error(), atoll::status_code::out_of_range);
    }
  }

  void write(atoll::buffer& real, model_buffer& model) {
    const auto at = length();
    auto room = real.writable();
    expect(room.has_value() == model.sole_owner(), "only a sole owner writes");
    if (!room) return expect_error(room.error(), atoll::status_code::failed_precondition);
    expect(room->size() == model.bytes.size(), "all bytes can be written");
    if (at < room->size()) (*room)[at] = model.bytes[at] = static_cast<char>(next_content_++);
  }

  bool fits(const model_chain& a, std::size_t bytes, std::size_t pieces) const {
    return a.bytes().size() + bytes <= chain_bytes_max && a.pieces.size() + pieces <= chain_pieces_max;
  }

  void chain_step() {
    const std::size_t c = byte() % chains;
    const unsigned other = byte();
    auto& real = real_chains_[c];
    auto& model = model_chains_[c];
    auto& real_other = real_chains_[other % chains];
    auto& model_other = model_chains_[other % chains];
    auto& real_buffer = real_[other % buffers];
    auto& model_buffer_ = model_[other % buffers];
    switch (kind_) {
      case 12:
        if (!fits(model, model_buffer_.bytes.size(), 1)) return;
        real.append(std::move(real_buffer));
        model.append(std::exchange(model_buffer_, {}));
        break;
      case 13:
        if (!fits(model, model_buffer_.bytes.size(), 1)) return;
        real.prepend(std::move(real_buffer));
        if (!model_buffer_.bytes.empty()) model.pieces.push_front(std::exchange(model_buffer_, {}));
        break;
      case 14: {
        if (!fits(model, model_other.bytes().size(), model_other.pieces.size())) return;
        real.append(std::move(real_other));  // maybe itself
        auto moved = std::exchange(model_other.pieces, {});
        std::ranges::move(moved, std::back_inserter(model.pieces));
        break;
      }
      case 15:
        real_other = real.share();
        model_other = model_chain(model);
        break;
      case 16:
        return take_front(c, other % chains);
      case 17: {
        const auto n = length();
        real.trim_front(n);
        model.take_front(std::min(n, model.bytes().size()));
        break;
      }
      case 18: {
        real_buffer = std::move(real).linearize();
        auto one = model.pieces.size() == 1 ? model.pieces.front() : model_buffer(model.bytes());
        model.pieces.clear();
        model_buffer_ = std::move(one);
        break;
      }
      case 19: {
        for (auto& p : model.pieces) p = p.detach();
        auto detached = std::exchange(model.pieces, {});
        real_other = std::move(real).detach();
        model_other.pieces = std::move(detached);
        break;
      }
      case 20:
        expect((real == real_other) == (model.bytes() == model_other.bytes()), "chains are equal as their bytes are");
        expect(real == std::string_view(model.bytes()), "a chain is equal to its bytes in one");
        expect((real == real_buffer.view()) == (model.bytes() == model_buffer_.bytes), "and so are a chain and bytes");
        return look(real, model.bytes());
      default:
        real = atoll::buffer_chain(real_buffer.share());
        model.pieces.clear();
        model.append(model_buffer_);
    }
  }

  void take_front(std::size_t c, std::size_t to) {
    const auto n = length();
    auto taken = real_chains_[c].take_front(n);
    expect(taken.has_value() == (n <= model_chains_[c].bytes().size()), "what is taken is there");
    if (!taken) return expect_error(taken.error(), atoll::status_code::out_of_range);
    auto model_taken = model_chains_[c].take_front(n);
    real_chains_[to] = std::move(*taken);
    model_chains_[to] = std::move(model_taken);
  }

  void look(const atoll::buffer_chain& real, const std::string& bytes) {
    const auto from = length();
    const auto wanted = static_cast<char>(byte());
    const auto found = bytes.find(wanted, from);
    const auto really = real.find(wanted, from);
    expect(really.has_value() ? *really == found : found == std::string::npos, "a byte is found where it is");

    std::string copy(from, '\x7f');
    const auto copied = real.copy_to(copy);
    expect(copied == std::min(from, bytes.size()), "all bytes that have room are copied");
    expect(copy == bytes.substr(0, copied) + std::string(from - copied, '\x7f'), "and nothing else is");

    std::vector<iovec> vectors(from % 8);
    const auto filled = real.fill_iovecs(vectors);
    expect(filled == std::min(vectors.size(), real.pieces()), "as many iovecs as there are pieces and room");
    std::string joined;
    for (std::size_t i = 0; i < filled; ++i) joined.append(static_cast<char*>(vectors[i].iov_base), vectors[i].iov_len);
    expect(bytes.starts_with(joined) && (filled < real.pieces() || joined == bytes), "iovecs have the chain's bytes");
  }

  void check() {
    for (std::size_t i = 0; i < buffers; ++i) {
      expect(real_[i] == model_[i].bytes, "a buffer's bytes");
      expect(real_[i].size() == model_[i].bytes.size(), "a buffer's size");
      expect(real_[i].empty() == (real_[i].data() == nullptr), "an empty buffer has no memory");
      expect(real_[i].sole_owner() == model_[i].sole_owner(), "a buffer's owners");
    }
    for (std::size_t c = 0; c < chains; ++c) {
      const auto& real = real_chains_[c];
      const auto& model = model_chains_[c];
      expect(real.pieces() == model.pieces.size(), "a chain's count of pieces");
      expect(real.size() == model.bytes().size() && real.empty() == model.pieces.empty(), "a chain's size");
      auto at = real.begin();
      for (const auto& p : model.pieces) {
        if (at == real.end()) return expect(false, "a chain has fewer pieces than it says");
        expect(*at++ == p.bytes, "a piece's bytes");
      }
      expect(at == real.end(), "a chain ends after its last piece");
    }
    expect(alive_ == model_alive_, "what is attached lives as long as the bytes");
  }

  std::string_view rest_;
  int operation_ = 0;
  unsigned kind_ = 0;
  unsigned next_content_ = 0;
  std::string problem_;
  std::size_t alive_ = 0;
  std::size_t model_alive_ = 0;
  std::array<atoll::buffer, buffers> real_;
  std::array<model_buffer, buffers> model_;
  std::array<atoll::buffer_chain, chains> real_chains_;
  std::array<model_chain, chains> model_chains_;
};

inline std::string run(std::string_view operations) { return machine(operations).run(); }

}  // namespace buffer_model
