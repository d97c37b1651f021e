#!/usr/bin/env bash
# Writes the Homebrew formula of a release from its checksums: version, checksums.txt.
set -euo pipefail
if [ $# -ne 2 ]; then
  echo "usage: $0 VERSION CHECKSUMS" >&2
  exit 2
fi
version=${1#v} sums=$2

# sum prints the checksum of one archive: os, arch.
sum() {
  local found
  found=$(awk -v name="hoplab_$1_$2.tar.gz" '$2 == name { print $1 }' "$sums")
  if [ -z "$found" ]; then
    echo "$sums has no hoplab_$1_$2.tar.gz" >&2
    exit 1
  fi
  echo "$found"
}

# archive prints the lines of one platform: os, arch, Homebrew's word for it.
archive() {
  local digest
  digest=$(sum "$1" "$2") || return
  cat <<EOF
    on_$3 do
      url "https://github.com/hoplab/hoplab/releases/download/v$version/hoplab_$1_$2.tar.gz"
      sha256 "$digest"
    end
EOF
}

linux=$(archive linux amd64 intel && archive linux arm64 arm) || exit
mac=$(archive darwin amd64 intel && archive darwin arm64 arm) || exit
cat <<EOF
class Hoplab < Formula
  desc "Proves and measures the hops of Amazon ECS Service Connect"
  homepage "https://github.com/hoplab/hoplab"
  version "$version"
  # hoplab-k6, a program of its own, is k6 under the AGPL-3.0.
  license all_of: ["Apache-2.0", "AGPL-3.0-only"]

  on_macos do
$mac
  end

  on_linux do
$linux
  end

  def install
    # hoplab looks for hoplab-k6 beside itself, links followed.
    libexec.install "hoplab", "hoplab-k6"
    bin.install_symlink libexec/"hoplab"
    prefix.install "K6.md", "licenses"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/hoplab version")
  end
end
EOF
