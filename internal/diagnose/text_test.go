package diagnose

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/test/golden"
)

//go:generate go test . -run 'TestText|TestJSON' -count=1 -update

func TestText(t *testing.T) {
	for _, tc := range []struct {
		file  string
		spoil func(*system)
	}{
		{"healthy.txt", func(*system) {}},
		{"egress-none.txt", faults["egress-none"].spoil},
		{"live.txt", func(s *system) {
			faults["ingress-port"].spoil(s)
			s.saw(Evidence{State: "unhealthy", Reason: "Target.Timeout", Running: ptr(true), Listening: []Listener{{"", 80}},
				ProbesSeen: ptr(0), ContainerHealth: "HEALTHY", Inside: 200})
		}},
	} {
		s := article(t, "override-open")
		tc.spoil(s)
		ds, err := Diagnose(s.Topology, s.o)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Text(&b, ds, render.TextOptions{}); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "testdata/"+tc.file, b.Bytes())
	}
}

func TestJSON(t *testing.T) {
	s := article(t, "override-open")
	faults["egress-none"].spoil(s)
	ds, err := Diagnose(s.Topology, s.o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := JSON(&b, ds); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Schema    string
		Diagnoses []struct {
			Lines []struct {
				Check, Status string
				Add           struct{ Port int }
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	first := doc.Diagnoses[0].Lines[0]
	if doc.Schema != Schema || first.Check != Egress || first.Status != "fault" || first.Add.Port != 80 {
		t.Errorf("%s, first line %+v", doc.Schema, first)
	}
}
