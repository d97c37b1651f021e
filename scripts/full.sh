#!/usr/bin/env bash
# Every test of every module, then the concurrent packages again under the
# race detector. Needs what .ci/run installs; without CI=true, a test whose
# program is missing skips and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# These packages run goroutines beside each other; the race detector pays there.
race=(./internal/lab/... ./internal/run ./internal/quiet ./internal/awsrun ./service/...)

if command -v npm >/dev/null 2>&1; then
  step "Node tools"
  npm ci --no-audit --no-fund --silent
elif [ "${CI:-}" = true ]; then
  echo "npm is missing: the CDK part cannot be tested" >&2
  exit 1
fi

for m in loadtest/samplefile loadtest/xk6-hoplab; do
  step "tests in $m"
  (cd "$m" && go test -timeout 10m ./...)
done

step "tests"
go test -p 2 -timeout 20m ./...

step "tests with the race detector"
go test -race -p 2 -timeout 20m "${race[@]}"
