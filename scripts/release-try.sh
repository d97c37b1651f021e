#!/usr/bin/env bash
# Uses the archive of a release as somebody does who has neither Go nor Node nor
# a clone: unpacked at /nowhere where that can be made, with an empty home and
# nothing but coreutils in PATH: archive.
set -euo pipefail
archive=$(realpath "$1")
home=$(mktemp -d) bin=$(mktemp -d) runtime=$(mktemp -d /tmp/hl.XXXXXX)
where=/nowhere
mkdir "$where" 2>/dev/null || where=$(mktemp -d)
for program in sh cat ls uname; do ln -s "$(command -v $program)" "$bin/"; done

# hoplab runs the release's in a directory and environment of its own.
hoplab() {
  (cd "$home" && env -i HOME="$home" PATH="$bin" XDG_RUNTIME_DIR="$runtime" "$where/hoplab" "$@")
}
finish() {
  hoplab lab down >/dev/null 2>&1 || true
  rm -rf "$where" "$home" "$bin" "$runtime"
}
trap finish EXIT
step() { printf '\n== %s\n' "$*"; }

step "the archive"
tar xzf "$archive" -C "$where"
for file in hoplab hoplab-k6 LICENSE K6.md licenses/go.k6.io/k6 licenses/go licenses/github.com/spf13/cobra; do
  [ -e "$where/$file" ] || { echo "the archive has no $file" >&2; exit 1; }
done
du -sh "$where"
dist=$(dirname "$archive")
if [ -e "$dist/checksums.txt" ]; then # a release has them beside its archives
  (cd "$dist" && sha256sum --check --ignore-missing checksums.txt)
  components=$dist/$(basename "$archive" .tar.gz).cdx.json
  grep -q '"github.com/spf13/cobra"' "$components" || { echo "$components does not list what is in hoplab" >&2; exit 1; }
fi

# A template of ours, as somebody's own.
template=$(dirname "$0")/../stacks/testdata/golden/bypass
cp -r "$template" "$home/bypass"

step "version, check, explain, diagnose, cost, plan"
hoplab version
hoplab check bypass
hoplab explain bypass | grep -c 200
hoplab diagnose bypass
hoplab cost bypass >/dev/null
hoplab plan --profile quick >/dev/null

step "lab"
hoplab lab up bypass --agent lab
hoplab lab curl --from client-service http://app.sample-namespace:80
hoplab lab down

step "learn"
hoplab learn three-ports >"$home/lesson" # whole: a pipe that closes early would end it
grep -m1 "Ingress port" "$home/lesson"

step "run"
# A busy machine may make it say that it cannot tell, with 3: that is a run too.
code=0
hoplab run --profile quick --agent lab --out r || code=$?
[ $code = 0 ] || [ $code = 3 ]
hoplab report r >/dev/null || [ $? = $code ]
