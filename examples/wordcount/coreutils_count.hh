// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The independent count: what coreutils make of the same file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace wordcount {

/// Runs tr | tr | sort | uniq -c over the file and gives each word and its count in the order of the bytes.
/// The error says what went wrong.
std::optional<std::string> count_by_coreutils(
    const std::string& file, const std::function<void(const std::string& word, std::int64_t count)>& take);

}  // namespace wordcount
