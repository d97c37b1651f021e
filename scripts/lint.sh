#!/usr/bin/env bash
# What can be said of the code without running it: form, modules, vet,
# staticcheck, the workflow. The go command fetches the tools by the sums in
# tools/go.sum.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

step "gofmt"
unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'gofmt would change:\n%s\n' "$unformatted" >&2
  exit 1
fi

for m in "${modules[@]}"; do
  step "go mod tidy in $m"
  (cd "$m" && tidy)
done

scripts/vet.sh

for m in . loadtest/samplefile loadtest/xk6-hoplab; do
  step "staticcheck in $m"
  (cd "$m" && tool staticcheck ./...)
done

step "actionlint"
tool actionlint .github/workflows/*.yml
