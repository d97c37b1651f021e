#!/usr/bin/env bash
# Builds the command, prints its size in MB, and fails when text/template can
# run in it: that package finds methods by name, so that the linker would keep
# every exported method of every type, half as much again. gRPC brings it with
# its trace pages, which nobody serves here: the tag grpcnotrace leaves them out.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

step "size of the command"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -tags grpcnotrace -o "$work/hoplab" ./cmd/hoplab
go build -tags grpcnotrace -ldflags='-s -w' -o "$work/stripped" ./cmd/hoplab
mb() { echo "$(($(wc -c <"$1") / 100000))" | sed 's/\(.\)$/.\1/'; }
echo "$(mb "$work/hoplab") MB; $(mb "$work/stripped") MB without symbols and debug information"
go tool nm "$work/hoplab" >"$work/symbols"
if ! grep -q ' main\.main$' "$work/symbols"; then
  echo "cannot read the symbols of the command" >&2
  exit 1
fi
if grep -qF 'text/template.(*state).evalField' "$work/symbols"; then
  echo "text/template can run in the command; see who calls it with: go build -tags grpcnotrace -ldflags=-dumpdep ./cmd/hoplab 2>&1 | grep 'text/template'" >&2
  exit 1
fi
