package learn_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/learn"
)

func TestAnActIsPlayedAgainOnASlowerClock(t *testing.T) {
	var out bytes.Buffer
	r, err := learn.Run(context.Background(), learn.Flaky(), learn.Options{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Differs) != 0 || !r.Slowed || len(r.Acts) != 1 || r.Answer != 1 {
		t.Errorf("differs %v, slowed %v, %d acts, answer %d; want none, true, 1, 1", r.Differs, r.Slowed, len(r.Acts), r.Answer)
	}
	if !strings.Contains(out.String(), "on a slower one") {
		t.Errorf("nothing tells of the second try:\n%s", out.String())
	}
}
