#!/usr/bin/env bash
# Pins the newest Envoys anew: versions and digests in internal/envoybin/pins.json.
# It needs python3 with pip, Go and a network, and takes a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

go run ./internal/envoybin/renew
git --no-pager diff --stat -- internal/envoybin/pins.json
go test ./internal/envoybin -run 'TestPins|TestReal' -count=1
