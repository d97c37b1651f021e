#!/usr/bin/env bash
# Builds, into bin/release, what a release has beside hoplab itself: k6 with the
# extension for each platform, its list of components, and the licences of
# everything that is in either program. RELEASE_ONLY=linux, or linux_amd64, leaves
# the other platforms out.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

out=$PWD/bin/release
rm -rf "$out"
mkdir -p "$out/licenses"
version=$(sed -n 's/^const Version = "\(.*\)"/\1/p' internal/k6/build.go)
xk6=$(GOWORK=off go tool -modfile=tools/go.mod -n xk6)

# licenses copies the licences of the modules whose paths and versions are piped in.
licenses() {
  local cache path ver dir file
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
}

for os in linux darwin; do
  for arch in amd64 arm64; do
    [[ ${os}_$arch == "${RELEASE_ONLY:-}"* ]] || continue
    dir=$out/k6/${os}_$arch
    mkdir -p "$dir"
    step "k6 $version for $os/$arch"
    CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOWORK=off "$xk6" build "$version" \
      --with "github.com/hoplab/hoplab/loadtest/xk6-hoplab=$PWD/loadtest/xk6-hoplab" \
      --replace "github.com/hoplab/hoplab/loadtest/samplefile=$PWD/loadtest/samplefile" \
      -o "$dir/hoplab-k6"
    go version -m "$dir/hoplab-k6" | awk '$1 == "dep" || $1 == "=>" { print $2, $3 }' | licenses
    cyclonedx-gomod bin -json -output "$out/k6-${os}_$arch.cdx.json" "$dir/hoplab-k6"
  done
done

step "licences of hoplab"
go list -deps -tags grpcnotrace -f '{{with .Module}}{{.Path}} {{.Version}}{{end}}' ./cmd/hoplab | sort -u | licenses
go_license=$(go env GOROOT)/LICENSE
mkdir -p "$out/licenses/go"
[ ! -f "$go_license" ] || install -m 0644 "$go_license" "$out/licenses/go/LICENSE"
if ! grep -rq "GNU AFFERO GENERAL PUBLIC LICENSE" "$out/licenses/go.k6.io/k6"; then
  echo "the licence of k6 was not found among $out/licenses" >&2
  exit 1
fi

cat >"$out/K6.md" <<EOF
hoplab-k6 is Grafana k6 $version with hoplab's extension, a program of its own
that hoplab starts. k6 is licensed under the GNU Affero General Public License,
version 3: licenses/go.k6.io/k6. Its source is
https://github.com/grafana/k6/tree/$version, unchanged; the extension's is
loadtest/xk6-hoplab of hoplab at the commit that \`hoplab version\` names. It is
built with xk6: scripts/release-k6.sh.
EOF
