#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# Runs each fuzz target: tools/fuzz.sh BUILD_FOLDER SECONDS. What is found stays in BUILD_FOLDER/found.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
build=$1
seconds=$2
mkdir -p "$build/found"
for target in "$build"/tests/fuzz/fuzz_*; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=$(basename "$target")
  name=${name#fuzz_}
  corpus="$build/corpus/$name"
  mkdir -p "$corpus"
  echo "fuzz: $name for $seconds s"
  "$target" -max_total_time="$seconds" -print_final_stats=0 -verbosity=0 -artifact_prefix="$build/found/$name-" "$corpus" \
    "tests/fuzz/corpus/$name" || { echo "fuzz: $name found something: $build/found"; exit 1; }
done
echo "fuzz: nothing found"
