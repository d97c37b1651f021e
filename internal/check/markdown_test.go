package check_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/topology"
)

// A comment mentions nobody and holds no tag and no link of a template's, and
// stays short however much there is.
func TestMarkdownOfHostileNames(t *testing.T) {
	hostile := "@everyone <img src=x> [a](http://evil.example) `code` https://evil.example www.evil.example #12\n# title"
	var all []check.Finding
	for i := range 80 {
		all = append(all, check.Finding{Rule: "ingress-port-closed", Severity: check.Error, Label: hostile,
			Message: fmt.Sprint(hostile, i), Effect: hostile, Fix: hostile,
			Origin: topology.Origin{File: hostile, Line: i + 1}})
	}
	all = append(all, check.Finding{Rule: "alb-egress-closed", Message: "not shown", Suppressed: &check.Suppressed{By: "template",
		Reason: "known"}})
	var b bytes.Buffer
	if err := check.Markdown(&b, hostile, all); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, bad := range []string{"@everyone", "<img", "[a](", "\n# title", "://evil", "www.evil", "#12", "&#64;everyone",
		"not shown", "--all"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q is in the comment:\n%.600s", bad, got)
		}
	}
	n := strings.Count(got, "**Fix:**")
	if n != 50 || !strings.Contains(got, "… and 30 more") || !strings.Contains(got, "80 errors; 1 suppressed") {
		t.Errorf("%d findings in\n%.300s", n, got)
	}
}

// A name makes no link of a SARIF message, which has them without Markdown too.
func TestSARIFOfHostileNames(t *testing.T) {
	const name = "[Log in](https://evil.example)"
	f := check.Finding{Rule: "ingress-port-closed", Severity: check.Error, Label: name, Message: name + " is closed", Effect: name, Fix: name}
	var b bytes.Buffer
	if err := check.SARIF(&b, []check.Finding{f}, check.SARIFOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Contains(got, "[Log in](") || strings.Count(got, "[Log in] (https://evil.example)") != 3 {
		t.Errorf("the message holds a link:\n%s", got[strings.Index(got, `"results"`):])
	}
}
