#!/usr/bin/env bash
# Records the run that the README shows: measures it on this machine, which
# should be quiet, keeps what a report is made from, and renews the README.
# Flags go to hoplab run, e.g. scripts/sample-run.sh --profile quick
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/hoplab" ./cmd/hoplab
# A run that cannot tell (3) is a run too; a broken one is not.
"$work/hoplab" run --seed 1 "$@" --out "$work/sample-run" || [ $? -eq 3 ]

rm -rf docs/sample-run
for file in plan.json environment.json state.json "$work"/sample-run/replicates/*/{samples.hop,evidence.json}; do
  file=${file#"$work/sample-run/"}
  mkdir -p "docs/sample-run/$(dirname "$file")"
  cp "$work/sample-run/$file" "docs/sample-run/$file"
done
go test ./internal/cli -run 'TestManual$' -update
go test ./internal/cli -run 'TestManual|TestSampleRun'
du -sh docs/sample-run
