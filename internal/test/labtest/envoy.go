package labtest

import (
	"context"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/envoybin"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// Envoy returns the path of a real Envoy: the one that this machine has, else
// the pinned one, fetched once. Where none can be had the test skips; with
// CI=true it fails.
func Envoy(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	b, err := envoybin.Get(ctx, envoybin.Wanted{Progress: t.Output()})
	if envoybin.IsMissing(err) {
		layer.Lacking(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Path
}
