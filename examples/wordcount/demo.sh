#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# The main job, once: two nodes of two shards each, a stock gRPC client that counts a text, an orderly end.
#
#   examples/wordcount/demo.sh FOLDER_OF_THE_PROGRAMS [--text FILE] [--counts FILE]
#
# Exit code: that of the client's verdict (0 match, 1 mismatch); 2 for anything else, after one line that says what.
set -u

say() { printf 'demo: %s\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 2; }

[ $# -ge 1 ] && [ -x "$1/wordcount" ] || die "wants the folder with the programs wordcount and wordcount_client"
programs=$1
shift
previous=
for arg in "$@"; do
  if [ "$previous" = --text ] && ! { [ -f "$arg" ] && [ -r "$arg" ]; }; then die "can't read the text '$arg'"; fi
  previous=$arg
done

logs=$(mktemp -d) || die "can't make a temporary folder"
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
  rm -rf "$logs"
}
trap cleanup EXIT

# A port nobody listens on, below the range the kernel takes ports from by itself.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 10000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  die "found no free port"
}

start_nodes() {
  local peers node
  peers="1=127.0.0.1:$(free_port),2=127.0.0.1:$(free_port)"
  pids=()
  for node in 1 2; do
    "$programs/wordcount" --shards 2 --node $node --peers "$peers" >"$logs/node$node.out" 2>"$logs/node$node.err" &
    pids+=($!)
  done
}

all_ready() { grep -q ready "$logs/node1.out" && grep -q ready "$logs/node2.out"; }
all_alive() { kill -0 "${pids[0]}" 2>/dev/null && kill -0 "${pids[1]}" 2>/dev/null; }

# Somebody may take a port between the look and the use: then once more, with others.
for attempt in 1 2 3; do
  start_nodes
  for _ in $(seq 300); do
    all_ready && break 2
    all_alive || break
    sleep 0.1
  done
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
  [ "$attempt" -lt 3 ] || { cat "$logs"/*.err >&2; die "the nodes did not start"; }
done
cat "$logs/node1.out" "$logs/node2.out"
gateway=$(sed -n 's/.*gateway //p' "$logs/node1.out")

"$programs/wordcount_client" --gateway "$gateway" "$@" >"$logs/client.out" 2>"$logs/client.err" &
client=$!
tail -n +1 -s 0.1 --pid="$client" -f "$logs/client.out" | sed -u '/^verdict: /d'
wait "$client"
outcome=$?
[ -s "$logs/client.err" ] && cat "$logs/client.err" >&2

say "SIGTERM to both nodes"
kill -TERM "${pids[@]}"
for _ in $(seq 300); do
  kill -0 "${pids[@]}" 2>/dev/null || break
  sleep 0.1
done
kill -KILL "${pids[@]}" 2>/dev/null  # whoever is still there did not drain: its exit code will say so
for i in 0 1; do
  wait "${pids[$i]}"
  code=$?
  [ "$code" -eq 0 ] || { cat "$logs/node$((i + 1)).err" >&2; say "node $((i + 1)) ended with exit code $code"; outcome=2; }
done
pids=()
[ "$outcome" -le 1 ] || die "failed, with exit code $outcome"
say "both nodes drained and ended with exit code 0"
grep '^verdict: ' "$logs/client.out" || die "the client gave no verdict"
exit "$outcome"
