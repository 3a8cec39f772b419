// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/codec.hh>

namespace atoll_root::atoll::wire {

error field_error(std::string_view message, std::string_view field, std::string_view what) {
  std::string text(message);
  if (field.empty()) {
    text.append(" ").append(what);
  } else {
    text.append(": field '").append(field).append("' ").append(what);
  }
  return {status_code::invalid_argument, std::move(text)};
}

}  // namespace atoll_root::atoll::wire
