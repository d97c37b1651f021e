#!/usr/bin/env bash
# Makes a release with GoReleaser: the programs of tools/release/go.mod are built
# first, which takes minutes. On a tag it is the release, as a draft; elsewhere,
# or with --snapshot, an unversioned one in dist/ that is sent nowhere.
# RELEASE_ONLY=linux, or linux_amd64, leaves the other platforms out of a snapshot.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

step "the programs that make a release"
tools=$PWD/bin/release-tools
mkdir -p "$tools"
for program in github.com/goreleaser/goreleaser/v2 github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod; do
  (cd tools/release && GOWORK=off go build -o "$tools/" "$program")
done
export PATH="$tools:$PATH"

step "goreleaser check"
goreleaser check

if [ "${1:-}" = --snapshot ] || ! git describe --exact-match --tags >/dev/null 2>&1; then
  step "snapshot"
  skip=
  docker buildx version >/dev/null 2>&1 || skip=--skip=docker
  goreleaser release --snapshot --clean $skip
  exit
fi
step "release $(git describe --tags)"
goreleaser release --clean
scripts/release-formula.sh "$(git describe --tags)" dist/checksums.txt >dist/hoplab.rb
gh release upload "$(git describe --tags)" dist/hoplab.rb
