package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// Load to an address that is not this machine's needs a yes; what it would be
// is said before.
func TestLoadElsewhereNeedsAYes(t *testing.T) {
	p, err := plan.New(plan.ProfileStandard)
	if err != nil {
		t.Fatal(err)
	}
	p.ForEndpoints()
	for _, c := range []struct {
		address string
		yes     bool
		code    fail.Code
		said    string
	}{
		{"127.0.0.1", false, fail.OK, ""},
		{"192.0.2.1 127.0.0.1", false, fail.Usage, "199 requests/s for about 2m50s, 33,830 in all, to 192.0.2.1"},
		{"192.0.2.1", true, fail.OK, "to 192.0.2.1"},
	} {
		var f runFlags
		f.aws.yes = c.yes
		var errs bytes.Buffer
		err := f.consent(streams{in: strings.NewReader("y\n"), err: &errs}, &p, map[string]string{"a": c.address}, p.Replicates)
		if fail.CodeOf(err) != c.code || !strings.Contains(errs.String(), c.said) || (c.said == "") != (errs.Len() == 0) {
			t.Errorf("%+v: %v, said %q", c, err, errs.String())
		}
	}
}
