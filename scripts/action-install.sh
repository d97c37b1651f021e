#!/usr/bin/env bash
# A step of action.yml: puts the release of hoplab that the action is used at
# into PATH, checked by the release's checksums. A hoplab that is there is kept
# unless a version is named.
set -euo pipefail
version=${HOPLAB_VERSION:-}
if [ -z "$version" ] && command -v hoplab >/dev/null; then
  hoplab version
  exit
fi
case "${version:=${ACTION_REF:-}}" in
v[0-9]*.[0-9]*.[0-9]*) where=download/$version ;;
*) # a branch, a commit, or a major version such as v0
  version=latest
  where=latest/download
  ;;
esac
os=$(uname -s | tr '[:upper:]' '[:lower:]')
case $(uname -m) in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*)
  echo "hoplab has no release for $(uname -m)" >&2
  exit 5
  ;;
esac
dir=$RUNNER_TEMP/hoplab
mkdir -p "$dir"
cd "$dir"
archive=hoplab_${os}_$arch.tar.gz
for file in "$archive" checksums.txt; do
  curl -fsSL --retry 3 -o "$file" "https://github.com/hoplab/hoplab/releases/$where/$file"
done
sum=sha256sum
command -v $sum >/dev/null || sum="shasum -a 256"
grep "  $archive\$" checksums.txt | $sum -c -
tar xzf "$archive"
echo "$dir" >>"$GITHUB_PATH"
./hoplab version
