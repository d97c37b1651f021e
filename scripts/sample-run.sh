#!/usr/bin/env bash
# Records the run that the README shows: measures real Envoys on this machine,
# which should be quiet, keeps what a report is made from, and renews the README.
# Flags go to hoplab run, e.g. scripts/sample-run.sh --profile quick
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/hoplab" ./cmd/hoplab
# A run that cannot tell (3) is a run too; a broken one is not.
"$work/hoplab" run --seed 1 --agent envoy "$@" --out "$work/sample-run" || [ $? -eq 3 ]

rm -rf docs/sample-run
keep "$work/sample-run" docs/sample-run
go test ./internal/cli -run 'TestManual$' -update
go test ./internal/cli -run 'TestManual|TestSampleRun'
du -sh docs/sample-run
