#!/usr/bin/env bash
# Writes into a directory what an archive has beside its programs: the licences of
# the modules whose paths and versions are piped in and of Go, below licenses, and
# K6.md, which says where the source of hoplab-k6 is.
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: $0 DIRECTORY <MODULES" >&2
  exit 2
fi
out=$(realpath "$1")
cd "$(dirname "$0")/.."
version=$(sed -n 's/^const Version = "\(.*\)"/\1/p' internal/k6/build.go)

cache=$(go env GOMODCACHE)
while read -r path ver; do
  dir=$cache/$(sed 's/[A-Z]/!\l&/g' <<<"$path@$ver")
  [ -d "$dir" ] || continue # a module of this repository
  for file in "$dir"/{LICENSE,LICENCE,COPYING,NOTICE}*; do
    [ -f "$file" ] || continue
    mkdir -p "$out/licenses/$path"
    install -m 0644 "$file" "$out/licenses/$path/"
  done
done
go_license=$(go env GOROOT)/LICENSE
mkdir -p "$out/licenses/go"
[ ! -f "$go_license" ] || install -m 0644 "$go_license" "$out/licenses/go/LICENSE"
if ! grep -rq "GNU AFFERO GENERAL PUBLIC LICENSE" "$out/licenses/go.k6.io/k6"; then
  echo "the licence of k6 was not found among $out/licenses" >&2
  exit 1
fi

cat >"$out/K6.md" <<END
hoplab-k6 is Grafana k6 $version with hoplab's extension, a program of its own
that hoplab starts. k6 is licensed under the GNU Affero General Public License,
version 3: licenses/go.k6.io/k6. Its source is
https://github.com/grafana/k6/tree/$version, unchanged; the extension's is
loadtest/xk6-hoplab of hoplab at the commit that \`hoplab version\` names. It is
built with xk6: scripts/release-k6.sh.
END
