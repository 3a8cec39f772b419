// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// bytes: an owned run of any bytes, where std::string stands for text. On the wire it is protobuf's `bytes`,
// a std::string is `string` and must be UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

struct bytes {
  std::string data;

  bytes() = default;
  explicit bytes(std::string content) noexcept : data(std::move(content)) {}
  explicit bytes(std::string_view content) : data(content) {}
  explicit bytes(const char* content) : data(content) {}

  [[nodiscard]] std::size_t size() const noexcept { return data.size(); }
  [[nodiscard]] bool empty() const noexcept { return data.empty(); }
  [[nodiscard]] std::string_view view() const noexcept { return data; }

  friend bool operator==(const bytes&, const bytes&) = default;
  friend auto operator<=>(const bytes&, const bytes&) = default;
};

}  // namespace atoll_root::atoll
