#!/usr/bin/env bash
# Measures the same two arms in the stacks and in the stacks with 47 services
# more, on this machine, which should be quiet: the figures must agree within
# what the A/A twins of either run differ by. Flags go to hoplab run, e.g.
# scripts/scale-run.sh --profile quick
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/hoplab" ./cmd/hoplab
cp -r stacks/testdata/golden/both "$work/fifty"
go test ./internal/test/cfntest -count=1 -run TestAmong -write "$work/fifty"
for what in few:stacks/testdata/golden/both fifty:"$work/fifty"; do
	# A run that cannot tell (3) is a run too; a broken one is not.
	"$work/hoplab" run --seed 1 --agent lab "$@" --assembly "${what#*:}" --out "$work/run-${what%%:*}" || [ $? -eq 3 ]
done
"$work/hoplab" compare "$work/run-few" "$work/run-fifty"
