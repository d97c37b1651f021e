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
mkdir -p "$out"
version=$(sed -n 's/^const Version = "\(.*\)"/\1/p' internal/k6/build.go)
xk6=$(GOWORK=off go tool -modfile=tools/go.mod -n xk6)

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
    cyclonedx-gomod bin -json -output "$out/k6-${os}_$arch.cdx.json" "$dir/hoplab-k6"
  done
done

step "licences"
{
  go version -m "$out"/k6/*/hoplab-k6 | awk '$1 == "dep" || $1 == "=>" { print $2, $3 }'
  go list -deps -tags grpcnotrace -f '{{with .Module}}{{.Path}} {{.Version}}{{end}}' ./cmd/hoplab
} | sort -u | scripts/release-licenses.sh "$out"
