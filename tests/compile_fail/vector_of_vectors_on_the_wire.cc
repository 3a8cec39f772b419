// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: no vectors of vectors, maps or optionals
// EXPECT: field<std::vector<std::vector<int
//
// Sendable between shards, but protobuf has no such field.
#include <atoll/rpc/codec.hh>

#include <string>
#include <vector>

namespace demo {

struct matrix {
  std::vector<std::vector<int>> rows;
};
ATOLL_MESSAGE(matrix, rows);

std::optional<atoll::error> encode(std::string& out, const matrix& value) { return atoll::encode_message(out, value); }

}  // namespace demo
