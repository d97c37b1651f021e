package learn_test

import (
	"testing"

	"github.com/hoplab/hoplab/internal/learn"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// A situation that runs as a lesson shows what is documented of it, also where
// only the beginning of what the caller reads is, or one of two errors.
func TestSituationsAsLessons(t *testing.T) {
	layer.Full(t, "starts labs")
	for _, name := range []string{"app-on-eni-only", "tcp-mode-app-down", "other-namespace", "no-targets", "override-sg-closed"} {
		s, ok := situation.Find(name)
		if !ok {
			t.Fatalf("no situation %s", name)
		}
		r, err := learn.Run(t.Context(), learn.OfSituation(s), options(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Differs) > 0 || len(r.Acts) != 1 || len(r.Acts[0].Steps) == 0 {
			t.Errorf("%s: %q, %d acts", name, r.Differs, len(r.Acts))
		}
	}
}
