# What the scripts beside this file share; sourced, never run.

# shellcheck disable=SC2034 # used by those that source this
modules=(. loadtest/samplefile loadtest/xk6-hoplab tools)

step() { printf '\n== %s\n' "$*"; }

# tool runs a program of tools/go.mod in the current module.
tools_mod=$PWD/tools/go.mod
tool() { go tool -modfile="$tools_mod" "$@"; }

# keep copies of a run directory what a report is made from: from, to.
keep() {
  local file
  for file in plan.json environment.json state.json "$1"/replicates/*/{samples.hop,evidence.json}; do
    file=${file#"$1/"}
    mkdir -p "$(dirname "$2/$file")"
    cp "$1/$file" "$2/$file"
  done
}
