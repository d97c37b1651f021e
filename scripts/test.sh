#!/usr/bin/env bash
# The test command of the README: every check of the repository, from any
# directory, without input. With CI=true nothing may skip.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

scripts/lint.sh
scripts/size.sh
step "fast layer" # first of the tests: a mistake shows within seconds
scripts/fast.sh
scripts/full.sh
scripts/vuln.sh

step "nothing changed by the tests"
changed=$(git status --porcelain)
if [ -n "$changed" ] && [ "${CI:-}" = true ]; then
  printf 'the tests changed tracked or left new files:\n%s\n' "$changed" >&2
  exit 1
fi
echo "all checks passed"
