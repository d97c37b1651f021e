#!/usr/bin/env bash
# A step of action.yml: checks the paths, and leaves the findings as SARIF and as
# Markdown. The exit code is an output; the last step of the action acts on it.
set -euo pipefail
out=$RUNNER_TEMP/hoplab-check
mkdir -p "$out"

# lines reads the lines that are not empty into the array LINES: text.
lines() {
  LINES=()
  local line
  while IFS= read -r line; do
    [ -z "$line" ] || LINES+=("$line")
  done <<<"$1"
}
lines "$CHECK_PATH"
paths=("${LINES[@]}")
# A line of args is a flag, or a flag and its value.
args=()
lines "${CHECK_ARGS:-}"
for line in ${LINES[@]+"${LINES[@]}"}; do
  args+=("${line%% *}")
  [ "$line" = "${line#* }" ] || args+=("${line#* }")
done
fail_on=${CHECK_FAIL_ON:-error}
[ "$fail_on" != never ] || fail_on=error
args+=(--fail-on "$fail_on")

# base writes the path as it is on the base branch below $out/base, if it is there.
base() {
  local path=${paths[0]}
  [ -n "${GITHUB_BASE_REF:-}" ] && [ ${#paths[@]} -eq 1 ] || return 1
  path=$(git ls-files --full-name -- "$path" | head -n 1) # what is not tracked is made anew by the job, and not in the base
  [ -n "$path" ] || return 1
  git fetch -q --depth=1 origin "refs/heads/$GITHUB_BASE_REF" || return 1
  rm -rf "$out/base" && mkdir -p "$out/base"
  (cd "$(git rev-parse --show-toplevel)" && git archive FETCH_HEAD) | tar x -C "$out/base" || return 1
  before=$out/base/$(git rev-parse --show-prefix)${paths[0]}
  [ -e "$before" ]
}
before=${CHECK_BEFORE:-}
if [ -n "$before" ] || base; then
  args+=(--before "$before")
  echo "checking the change from $before"
fi

code=0
hoplab check "${paths[@]}" "${args[@]}" || code=$?
findings=false
case $code in
0 | 1)
  findings=true
  # The codes of these two are that of the check above.
  hoplab check "${paths[@]}" "${args[@]}" --format sarif >"$out/hoplab.sarif" || [ $? -eq 1 ]
  hoplab check "${paths[@]}" "${args[@]}" --format markdown >"$out/hoplab.md" || [ $? -eq 1 ]
  ;;
esac
{
  echo "exit-code=$code"
  echo "findings=$findings"
  echo "sarif-file=$out/hoplab.sarif"
  echo "markdown-file=$out/hoplab.md"
} >>"$GITHUB_OUTPUT"
if $findings && [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat "$out/hoplab.md" >>"$GITHUB_STEP_SUMMARY"
fi
