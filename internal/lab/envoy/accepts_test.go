package envoy_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestEnvoyAccepts lets a real Envoy judge the golden files.
func TestEnvoyAccepts(t *testing.T) {
	layer.Full(t, "starts Envoy")
	bin := labtest.Envoy(t)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("golden files %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, bin, append([]string{"--mode", "validate"}, envoy.Args(file, 2)...)...).CombinedOutput()
			if err != nil {
				t.Errorf("envoy --mode validate: %v\n%s", err, out)
			}
		})
	}
}
