#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# Runs the simulated tests of a build: sim.sh PROGRAM [FILTER] [--seeds N] [--base N] [--check PERCENT] [--seed S [--trace FILE]]
set -eu

program=$1
shift
filter='*'
seeds=200
base=1
check=5
seed=
trace=
while [ $# -gt 0 ]; do
  case "$1" in
    --seeds) seeds=$2; shift ;;
    --base) base=$2; shift ;;
    --check) check=$2; shift ;;
    --seed) seed=$2; shift ;;
    --trace) trace=$2; shift ;;
    -*) printf 'sim: no option %s: --seeds N, --base N, --check PERCENT, --seed S, --trace FILE\n' "$1" >&2; exit 2 ;;
    *) filter=$1 ;;
  esac
  shift
done

if [ -n "$seed" ]; then
  [ "$filter" != '*' ] || { printf 'sim: --seed replays one test: name it\n' >&2; exit 2; }
  export ATOLL_SIM_SEED="$seed" ATOLL_SIM_LOG=1
  [ -z "$trace" ] || export ATOLL_SIM_TRACE="$trace"
  exec "$program" --gtest_filter="$filter"
fi

coverage=$(mktemp)
trap 'rm -f "$coverage"' EXIT
failed=0
ATOLL_SIM_SEEDS="$seeds" ATOLL_SIM_BASE="$base" ATOLL_SIM_CHECK="$check" ATOLL_SIM_COVERAGE="$coverage" \
  "$program" --gtest_filter="$filter" || failed=$?

printf '\nPoints that were reached (ATOLL_SOMETIMES), and those that were not:\n'
sed -n 's/^all //p' "$coverage" | grep -v '^test: ' | sort -u | while IFS= read -r point; do
  if grep -qxF "hit $point" "$coverage"; then printf '  yes  %s\n' "$point"; else printf '  NO   %s\n' "$point"; fi
done
exit "$failed"
