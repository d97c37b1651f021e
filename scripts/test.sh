#!/usr/bin/env bash
# The test command of the README: every check of the repository, from any
# directory, without input. With CI=true nothing may skip.
set -euo pipefail
cd "$(dirname "$0")/.."

modules=(. loadtest/samplefile loadtest/xk6-hoplab)
# These packages run goroutines beside each other; the race detector pays there.
race=(./internal/lab/... ./internal/run ./internal/quiet ./internal/awsrun ./service)

step() { printf '\n== %s\n' "$*"; }

step "gofmt"
unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'gofmt would change:\n%s\n' "$unformatted" >&2
  exit 1
fi

for m in "${modules[@]}"; do
  step "vet and staticcheck in $m"
  (cd "$m" && go vet ./...)
done
go tool staticcheck ./...

if [ -f package-lock.json ] && command -v npm >/dev/null 2>&1; then
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
present=()
for p in "${race[@]}"; do
  if go list "$p" >/dev/null 2>&1; then present+=("$p"); fi
done
go test -race -p 2 -timeout 20m "${present[@]}"

step "known vulnerabilities"
if go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 -version >/dev/null 2>&1; then
  go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./... || { code=$?; [ $code -eq 3 ] && exit $code; echo "govulncheck could not finish (exit $code): its database is not reachable from here"; }
else
  echo "govulncheck does not resolve here: not run"
fi

step "nothing changed by the tests"
changed=$(git status --porcelain)
if [ -n "$changed" ] && [ "${CI:-}" = true ]; then
  printf 'the tests changed tracked or left new files:\n%s\n' "$changed" >&2
  exit 1
fi
echo "all checks passed"
