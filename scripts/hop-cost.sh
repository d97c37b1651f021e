#!/usr/bin/env bash
# Records the runs of docs/hop-cost.md, one for each condition, on this machine,
# which should be quiet, and renews the page: half an hour. Flags go to every
# hoplab run, e.g. scripts/hop-cost.sh --profile quick --fabric loopback
# ONLY='response-.*' records the runs of those names alone and keeps the others.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/hoplab" ./cmd/hoplab

record() { # name, flags of its own; then those of the command line
  local name=$1
  shift
  if ! [[ $name =~ ^(${ONLY:-.*})$ ]]; then
    return
  fi
  step "$name"
  # A run that cannot tell (3) is a run too; a broken one is not.
  "$work/hoplab" run --seed 1 --fabric netns --agent envoy --arms agent,bypass,mesh --replicates 6 --duration 7s --rate 400 \
    --app-protocol http --access-log json "$@" --out "$work/$name" >"$work/$name.txt" || [ $? -eq 3 ]
  head -3 "$work/$name.txt"
  rm -rf "docs/hop-cost/$name"
  keep "$work/$name" "docs/hop-cost/$name"
}

record base "$@"
record one-worker --envoy-workers 1 "$@"
record response-1k --response-body 1k "$@"
record response-16k --response-body 16k "$@"
record slower --rate 240 "$@" # what the rows below are to be read beside
record response-128k --response-body 128k --rate 240 "$@" # more than that fills the core
record request-1k --request-body 1k "$@"
record request-16k --request-body 16k "$@"
record new-connections --no-keep-alive "$@"
record http2 --app-protocol http2 "$@"
record mesh-tls --arms mesh-tls --rate 240 "$@" # beside the other three: the flag adds to the list
record no-access-log --access-log off "$@"
record as-deployed --as-deployed "$@"
record lab-agent --agent lab "$@"

go generate ./internal/test/hopcost
go test ./internal/test/hopcost ./internal/cli -run 'TestPage|TestSampleRun'
du -sh docs/hop-cost
