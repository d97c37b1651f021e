package ports_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/ports"
)

func TestParseOverride(t *testing.T) {
	for _, c := range []struct {
		name string
		in   any
		want int    // 0 for the default mode
		err  string // the rule that the error must name
	}{
		{"absent", nil, 0, ""},
		{"number from cdk.json", 8080.0, 8080, ""},
		{"string from the command line", "8080", 8080, ""},
		{"spaces", " 8080 ", 8080, ""},
		{"lowest", "1025", 1025, ""},
		{"highest", 65535.0, 65535, ""},
		{"int", 9000, 9000, ""},
		{"zero", "0", 0, "ports <= 1024"},
		{"a tool's way to say unset", 0.0, 0, "ports <= 1024"},
		{"privileged", "80", 0, "ports <= 1024"},
		{"last privileged", 1024.0, 0, "ports <= 1024"},
		{"negative", "-1", 0, "ports <= 1024"},
		{"too high", "65536", 0, "at most 65535"},
		{"far too high", 1e12, 0, "at most 65535"},
		{"fraction", 8080.5, 0, "not an integer"},
		{"fraction as a string", "8080.5", 0, "not an integer"},
		{"empty", "", 0, "not an integer"},
		{"null as a string", "null", 0, "not an integer"},
		{"word", "yes", 0, "not an integer"},
		{"infinite", math.Inf(1), 0, "not an integer"},
		{"bool", true, 0, "is not a port"},
		{"list", []any{8080.0}, 0, "is not a port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ports.ParseOverride(c.in, ports.Container)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got error %v; want one line with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := got.Port(); p != c.want || ok != (c.want != 0) {
				t.Errorf("got port %d, set %v; want %d", p, ok, c.want)
			}
		})
	}
}

func TestOverrideMustDifferFromTheContainerPort(t *testing.T) {
	if _, err := ports.CheckOverride(8080, 8080); err == nil || !strings.Contains(err.Error(), "already binds container port 8080") {
		t.Errorf("got %v; want the clash with the container port named", err)
	}
}

func TestIngressPortFollowsTheMode(t *testing.T) {
	var none ports.Override
	if none.Ingress(80) != 80 || none.Mode() != "default" {
		t.Errorf("default mode: got ingress %d, mode %s; want 80, default", none.Ingress(80), none.Mode())
	}
	o, err := ports.CheckOverride(8080, 80)
	if err != nil {
		t.Fatal(err)
	}
	if o.Ingress(80) != 8080 || o.Mode() != "override" {
		t.Errorf("override mode: got ingress %d, mode %s; want 8080, override", o.Ingress(80), o.Mode())
	}
}
