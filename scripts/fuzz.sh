#!/usr/bin/env bash
# Fuzzes every target of the project, one after the other, each for the given
# time, and keeps what it finds interesting for the next time:
#
#   scripts/fuzz.sh 10m                 # each target for ten minutes
#   scripts/fuzz.sh 20s Suppress        # those whose name matches
#
# The corpus is kept in $HOPLAB_FUZZ_CORPUS, by default hoplab/fuzz below the
# user's cache directory. An input that fails is written to the package's
# testdata/fuzz, where it becomes a test. FUZZ_WORKERS (2) is how many processes
# one target has: the CPU time is so many times the time given.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 1 ]; then
  echo "usage: scripts/fuzz.sh TIME [PATTERN]" >&2
  exit 2
fi
time=$1 pattern=${2:-.}
corpus=${HOPLAB_FUZZ_CORPUS:-${XDG_CACHE_HOME:-$HOME/.cache}/hoplab/fuzz}
workers=${FUZZ_WORKERS:-2}
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
# Some targets write what they read to files, which takes fifteen times as long on a disk
# (programs are built elsewhere: a container's /dev/shm runs none).
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi

failed=() ran=0
while IFS=: read -r file line; do
  target=${line#func } target=${target%%(*} dir=$(dirname "$file")
  [[ $target =~ $pattern || $dir =~ $pattern ]] || continue
  # Built with -fuzz, so that new ways through the code are noticed. A module of
  # its own is built from its own directory.
  program=$built/$(tr / - <<<"$dir").test
  if [ ! -x "$program" ]; then
    (cd "$dir" && go test -c -fuzz=. -o "$program" .)
  fi
  mkdir -p "$corpus/$dir"
  echo "== $dir $target, $time"
  # Without its own bound, a worker makes each interesting input smaller for a minute.
  ran=$((ran + 1))
  if ! (cd "$dir" && "$program" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.parallel "$workers" \
    -test.fuzzminimizetime 2s -test.fuzzcachedir "$corpus/$dir" </dev/null); then
    failed+=("$dir $target")
  fi
done < <(grep -rn --include='*_test.go' -E '^func Fuzz[A-Za-z]+\(f \*testing\.F\)' internal loadtest service stacks | sed -E 's/:[0-9]+:/:/' | sort)

if [ $ran = 0 ]; then
  echo "no target matches $pattern" >&2
  exit 2
fi
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "$ran targets; the corpus is in $corpus"
