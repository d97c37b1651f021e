#!/usr/bin/env bash
# The fast layer: every test that starts no process and needs no Node, no root
# and no network. Prints how long it took. On Linux the tests run where a
# process cannot be started (internal/test/nofork), so that one which tries
# fails here and not on somebody's machine.
set -euo pipefail
cd "$(dirname "$0")/.."

with=()
if [ "$(uname -s)" = Linux ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  go build -o "$work/nofork" ./internal/test/nofork
  with=(-exec "$work/nofork")
fi
begin=$(date +%s)
go test -short ${with[@]+"${with[@]}"} "$@" ./...
echo "the fast layer took $(($(date +%s) - begin)) s${with[*]:+; no test could start a process}"
