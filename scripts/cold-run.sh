#!/usr/bin/env bash
# Times the README's first command for somebody who has Go and nothing else: a
# fresh clone of what is committed, and empty caches, that of Go's modules
# included. A figure to keep needs a quiet machine: it says the load it began at.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT # a module cache is read-only
git clone --quiet . "$work/clone"
cd "$work/clone"

GOENV=$(go env GOENV)
export GOENV HOME="$work/home" XDG_CACHE_HOME="$work/cache" GOCACHE="$work/go-build" GOPATH="$work/go"
unset GOMODCACHE HOPLAB_ENVOY HOPLAB_REPO
mkdir "$HOME"

step "go run ./cmd/hoplab run, at a load of $(uptime | sed 's/.*average[s]*: *//')"
SECONDS=0
code=0
go run ./cmd/hoplab run "$@" || code=$?
echo
echo "$SECONDS s in all"
exit "$code"
