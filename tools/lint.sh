#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# The rules of the project that a machine can check. Each complaint says the cure.
set -u
cd "$(dirname "$(readlink -f "$0")")/.."
failed=0
complain() { printf 'lint: %s\n' "$*"; failed=1; }

mapfile -t sources < <(git ls-files '*.cc' '*.hh')
mapfile -t library < <(printf '%s\n' "${sources[@]}" | grep -E '^(actors|sharding|rpc|services)/|^simulation/[a-z_]+\.(cc|hh)$')

# Formatting.
if ! clang-format-19 --dry-run --Werror "${sources[@]}" 2>/tmp/atoll-format.$$; then
  head -n 20 /tmp/atoll-format.$$
  complain "formatting: run  clang-format-19 -i \$(git ls-files '*.cc' '*.hh')"
fi
rm -f /tmp/atoll-format.$$

# grep_rule PATTERN ALLOWED_FILES CURE: library code outside the allowed files must not match.
grep_rule() {
  local found
  found=$(printf '%s\n' "${library[@]}" | grep -vE "$2" | xargs grep -HnE "$1" | grep -vE '^[^:]+:[0-9]+: *(//|///)')
  [ -z "$found" ] || { printf '%s\n' "$found"; complain "$3"; }
}
grep_rule '_clock::now\(|clock_gettime|gettimeofday|nanosleep|sleep_for|sleep_until\(std' '^(actors/(reactor/clock|memory/allocator_mimalloc)|simulation/guard)\.cc$' \
  "time comes through the clock seam: mono_now(), sleep()"
grep_rule 'random_device|\brand\(|getrandom' '^(sharding/runtime|simulation/guard)\.cc$' "chance comes from this_shard().random"
grep_rule 'thread_local' '^(actors/reactor/shard\.(hh|cc)|simulation/guard\.cc)$' "what is ambient hangs off this_shard()"
grep_rule 'std::(mutex|shared_mutex|condition_variable|recursive_mutex)' '^sharding/(offload_pool|memory_ranges)\.(hh|cc)$' \
  "shards share nothing: send a message"
grep_rule 'std::(jthread|thread)\b|pthread_create' '^(sharding/(runtime\.cc|offload_pool\.(hh|cc))|services/gateway/grpc_engine\.cc|simulation/guard\.cc)$' \
  "threads are made by the runtime and the bridges alone"
grep_rule 'std::atomic' '^(actors/memory/block_returns\.(hh|cc)|sharding/(lane|mailroom|runtime|foreign_gate|offload_pool|stop_signals)\.(hh|cc)|services/gateway/grpc_engine\.cc)$' \
  "atomics belong to lanes, doors, returned blocks, start, the stop signal and the bridges"
grep_rule '#include <(grpc|google/protobuf)' '^services/gateway/.*\.cc$' "grpc++ and protobuf stay in the gateway's sources"
grep_rule '#include <CLI/' '^sharding/app\.cc$' "CLI11 is heavy: it stays in app.cc"

# g++ 12 destroys aggregates and closures that own something twice when they stand in a co_await expression.
owning=$(printf '%s\n' "${sources[@]}" | xargs grep -HnE 'co_await .*\(\[[^]]*([a-z_]+ = |[^&a-z_][a-z_]*(text|name|key|options|value|request))[^]]*\]' |
  grep -vE '\[&')
[ -z "$owning" ] || { printf '%s\n' "$owning"; complain "name the closure before the co_await (docs/compilers.md)"; }

# Every file says its licence, and public headers what they are for.
for file in $(git ls-files '*.cc' '*.hh' '*.cmake' '*CMakeLists.txt' '*.sh' '*.py' '*.proto' dev .ci/run); do
  head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$file: no SPDX line in its first three"
done
for header in $(printf '%s\n' "${library[@]}" | grep '\.hh$'); do
  sed -n 4,8p "$header" | grep -qE '^// .{20,}' || complain "$header: its first screen has to say what it is for"
  grep -q '#pragma once' "$header" || complain "$header: no #pragma once"
done
for file in "${library[@]}"; do
  lines=$(wc -l <"$file")
  [ "$lines" -le 600 ] || complain "$file has $lines lines: split it"
done

# clang-tidy over the library, with the compilation database of the tsan or asan build if there is one, else its own.
database=build/lint
cmake -S . -B "$database" -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 -DATOLL_TESTS=OFF -DATOLL_BENCH=OFF -DATOLL_EXAMPLES=OFF \
  >/dev/null || complain "configuring for clang-tidy failed"
printf '%s\n' "${library[@]}" | grep '\.cc$' |
  xargs -P "$(nproc)" -n 4 clang-tidy-19 -p "$database" --quiet --warnings-as-errors='*' 2>/tmp/atoll-tidy.$$ ||
  complain "clang-tidy: see above"
grep -vE 'warnings? generated|Suppressed|Use -header-filter' /tmp/atoll-tidy.$$ | head -n 20
rm -f /tmp/atoll-tidy.$$

[ "$failed" -eq 0 ] && echo "lint: no complaints"
exit "$failed"
