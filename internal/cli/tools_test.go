package cli

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestFirstFailureEndsTheRest: nobody waits for a fetch whose run cannot be, and
// what is said is why.
func TestFirstFailureEndsTheRest(t *testing.T) {
	layer.Full(t, "starts the go command")
	f := runFlags{k6: filepath.Join(t.TempDir(), "no-k6")}
	_, err := f.tools(t.Context(), streams{err: io.Discard}, func(ctx context.Context, _ streams) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	if err == nil || !strings.Contains(err.Error(), "no-k6") || fail.CodeOf(err) != fail.Environment {
		t.Errorf("got %v, want what is wrong with k6", err)
	}
}
