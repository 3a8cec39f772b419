// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include "coreutils_count.hh"

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace wordcount {

std::optional<std::string> count_by_coreutils(
    const std::string& file, const std::function<void(const std::string& word, std::int64_t count)>& take) {
  // The name travels in the environment: no shell takes it apart.
  if (::setenv("WORDCOUNT_TEXT", file.c_str(), 1) != 0) return "can't set an environment variable";
  constexpr const char* pipeline =
      "export LC_ALL=C; set -o pipefail; "
      "tr -cs 'A-Za-z' '\\n' < \"$WORDCOUNT_TEXT\" | tr 'A-Z' 'a-z' | sort | uniq -c";
  const std::string command = std::string("exec bash -c '") + [](std::string text) {
    for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) text.replace(at, 1, "'\\''");
    return text;
  }(pipeline) + "'";
  std::FILE* counted = ::popen(command.c_str(), "r");
  if (counted == nullptr) return "can't run coreutils";
  char* line = nullptr;
  std::size_t room = 0;
  for (auto n = ::getline(&line, &room, counted); n > 0; n = ::getline(&line, &room, counted)) {
    char* word = nullptr;
    const auto count = std::strtoll(line, &word, 10);
    if (line[n - 1] == '\n') line[n - 1] = '\0';
    // Text that begins with something else than a letter gives one empty "word".
    if (*word == ' ' && word[1] != '\0') take(word + 1, count);
  }
  std::free(line);
  return ::pclose(counted) == 0 ? std::nullopt : std::optional<std::string>("coreutils could not count " + file);
}

}  // namespace wordcount
