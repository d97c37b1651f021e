# What the scripts beside this file share; sourced, never run.

# shellcheck disable=SC2034 # used by those that source this
modules=(. loadtest/samplefile loadtest/xk6-hoplab tools)

step() { printf '\n== %s\n' "$*"; }

# tool runs a program of tools/go.mod in the current module. It is built outside
# the workspace, which knows no other go.mod, and runs within it.
tools_mod=$PWD/tools/go.mod
tool() {
  local program
  program=$(GOWORK=off go tool -modfile="$tools_mod" -n "$1")
  "$program" "${@:2}"
}

# tidy says what go mod tidy would change in the current module. That command
# knows no workspace, and the release of the sample format that go.mod requires
# may be still to come: it reads a copy that takes the one beside it. That
# release's sums are held by internal/test/modproxy.
samplefile_dir=$PWD/loadtest/samplefile
tidy() (
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  cp go.mod "$copy/go.mod"
  [ ! -e go.sum ] || grep -v '/loadtest/samplefile ' go.sum >"$copy/go.sum"
  if grep -q '/loadtest/samplefile v' go.mod; then
    printf '\nreplace github.com/hoplab/hoplab/loadtest/samplefile => %s\n' "$samplefile_dir" >>"$copy/go.mod"
  fi
  GOWORK=off go mod tidy -modfile="$copy/go.mod" -diff
)

# keep copies of a run directory what a report is made from: from, to.
keep() {
  local file
  for file in plan.json environment.json state.json "$1"/replicates/*/{samples.hop,evidence.json}; do
    file=${file#"$1/"}
    mkdir -p "$(dirname "$2/$file")"
    cp "$1/$file" "$2/$file"
  done
}
