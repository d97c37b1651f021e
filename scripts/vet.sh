#!/usr/bin/env bash
# Builds and vets every module for this machine, or for GOOS and GOARCH.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

for m in . loadtest/samplefile loadtest/xk6-hoplab; do
  step "build and vet in $m for $(go env GOOS)/$(go env GOARCH)"
  (cd "$m" && go build ./... && go vet ./...)
done
