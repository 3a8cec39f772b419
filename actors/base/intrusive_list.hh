// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A doubly linked list whose links lie in its elements: O(1) insertion and removal, no allocation.
//
//   struct waiter : atoll::list_hook { ... };
//   atoll::intrusive_list<waiter> waiters;  waiters.push_back(w);  w.unlink();
//
// An element is in one list at a time and leaves it when it is destroyed. Not thread-safe.
#pragma once

#include <atoll/actors/base/assert.hh>

namespace atoll_root::atoll {

struct list_hook {
  list_hook() noexcept = default;
  list_hook(const list_hook&) = delete;
  list_hook& operator=(const list_hook&) = delete;
  ~list_hook() { unlink(); }

  [[nodiscard]] bool linked() const noexcept { return next != nullptr; }
  void unlink() noexcept {
    if (!linked()) return;
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }

  list_hook* previous = nullptr;
  list_hook* next = nullptr;
};

template <class T>
class intrusive_list {
 public:
  intrusive_list() noexcept { root_.previous = root_.next = &root_; }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;
  ~intrusive_list() {
    while (!empty()) front().unlink();
    root_.previous = root_.next = nullptr;
  }

  [[nodiscard]] bool empty() const noexcept { return root_.next == &root_; }
  T& front() noexcept { return static_cast<T&>(*root_.next); }

  // Iteration sees what is in the list; the element it stands on must stay there.
  class iterator {
   public:
    explicit iterator(list_hook* at) noexcept : at_(at) {}
    T& operator*() const noexcept { return static_cast<T&>(*at_); }
    iterator& operator++() noexcept {
      at_ = at_->next;
      return *this;
    }
    bool operator==(const iterator&) const noexcept = default;

   private:
    list_hook* at_;
  };
  [[nodiscard]] iterator begin() noexcept { return iterator(root_.next); }
  [[nodiscard]] iterator end() noexcept { return iterator(&root_); }

  void push_back(T& element) noexcept {
    list_hook& hook = element;
    ATOLL_ASSERT(!hook.linked(), "an element is in one list at a time");
    hook.previous = root_.previous;
    hook.next = &root_;
    root_.previous->next = &hook;
    root_.previous = &hook;
  }

  T* pop_front() noexcept {
    if (empty()) return nullptr;
    T& element = front();
    element.unlink();
    return &element;
  }

  /// Moves all elements of another list to the end of this one.
  void splice(intrusive_list& other) noexcept {
    if (other.empty()) return;
    list_hook* first = other.root_.next;
    list_hook* last = other.root_.previous;
    other.root_.previous = other.root_.next = &other.root_;
    first->previous = root_.previous;
    last->next = &root_;
    root_.previous->next = first;
    root_.previous = last;
  }

 private:
  list_hook root_;
};

}  // namespace atoll_root::atoll
