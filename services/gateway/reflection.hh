// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// gRPC server reflection (grpc.reflection.v1 and v1alpha, which are the same messages):
// https://github.com/grpc/grpc/blob/master/doc/server-reflection.md. Answers one request at a time from what
// a dispatcher exposes. Internal to the gateway.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <atoll/services/gateway/dispatcher.hh>

namespace atoll_root::atoll::services {

class reflection {
 public:
  explicit reflection(const dispatcher& exposed);

  /// True for the path of a reflection method.
  static bool serves(std::string_view path) noexcept;

  /// The encoded ServerReflectionResponse for an encoded ServerReflectionRequest; `invalid_argument` where it can't be
  /// decoded.
  [[nodiscard]] result<std::string> answer(std::string_view request) const;

 private:
  std::vector<std::string> services_;
  std::map<std::string, std::string, std::less<>> files_;             // encoded FileDescriptorProto by file name
  std::map<std::string, std::string, std::less<>> files_of_symbols_;  // file name by full symbol name
};

}  // namespace atoll_root::atoll::services
