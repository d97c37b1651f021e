package diagnose_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/diagnose"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

var service string

func TestMain(m *testing.M) {
	os.Exit(labtest.WithService(m, &service))
}

// edit replaces text that stands once in the article's file.
type edit struct{ old, new string }

// The parts of the article's file that the faults are planted in.
var (
	egressRule  = "  type                     = \"egress\"\n  from_port                = 80\n  to_port                  = 80\n  protocol                 = \"tcp\"\n  security_group_id        = aws_security_group.alb.id\n  source_security_group_id = aws_security_group.ec2.id\n"
	ingressRule = "    description     = \"HTTP from ALB\"\n    from_port       = 80\n    to_port         = 80\n    protocol        = \"tcp\"\n    security_groups = [aws_security_group.alb.id]\n"
)

func egress(old, new string) edit  { return within(egressRule, old, new) }
func ingress(old, new string) edit { return within(ingressRule, old, new) }

func within(part, old, new string) edit {
	return edit{part, strings.ReplaceAll(part, old, new)}
}

// fault is one thing that is wrong in the file, and the line of the checklist
// that must name it.
type fault struct {
	edits []edit
	want  string
}

var (
	noEgress = edit{"count = var.enable_alb_egress ? 1 : 0", "count = 0"}
	allPorts = []edit{{egressRule,
		strings.Replace(strings.Replace(egressRule, "from_port                = 80", "from_port                = 0", 1), "to_port                  = 80", "to_port                  = 65535", 1)},
		{ingressRule,
			strings.Replace(strings.Replace(ingressRule, "from_port       = 80", "from_port       = 0", 1), "to_port         = 80", "to_port         = 65535", 1)}}
	otherPort = edit{"    listen 80;", "    listen 8080;"}
	sick      = edit{"return 200 'OK'", "return 503 'no'"}
)

var faults = map[string]fault{
	"egress-none":          {[]edit{noEgress}, diagnose.Egress},
	"egress-port":          {[]edit{egress("= 80", "= 8080")}, diagnose.Egress},
	"egress-udp":           {[]edit{egress(`"tcp"`, `"udp"`)}, diagnose.Egress},
	"egress-to-itself":     {[]edit{egress("security_group.ec2.id", "security_group.alb.id")}, diagnose.Egress},
	"egress-of-the-target": {[]edit{egress("security_group.alb.id", "security_group.ec2.id")}, diagnose.Egress},
	"egress-as-ingress":    {[]edit{egress(`"egress"`, `"ingress"`)}, diagnose.Egress},
	"ingress-port":         {[]edit{ingress("= 80", "= 8080")}, diagnose.Ingress},
	"ingress-udp":          {[]edit{ingress(`"tcp"`, `"udp"`)}, diagnose.Ingress},
	"ingress-none":         {[]edit{{"  ingress {\n" + ingressRule + "  }\n", ""}}, diagnose.Ingress},
	"ingress-from-itself":  {[]edit{ingress("security_groups = [aws_security_group.alb.id]", "self = true")}, diagnose.Ingress},
	"attachment-port": {append([]edit{{"target_id        = aws_instance.nginx.id\n  port             = 80",
		"target_id        = aws_instance.nginx.id\n  port             = 8080"}}, allPorts...),
		diagnose.Listening},
	"check-port": {append([]edit{{"    path                = \"/\"",
		"    path                = \"/\"\n    port                = \"9000\""}}, allPorts...),
		diagnose.Listening},
	"listens-elsewhere": {[]edit{otherPort}, diagnose.Listening},
	"app-answers-503":   {[]edit{sick}, diagnose.Path},
	"matcher":           {[]edit{{`matcher             = "200"`, `matcher             = "204"`}}, diagnose.Path},
	"not-forwarded": {[]edit{{"    type             = \"forward\"\n    target_group_arn = aws_lb_target_group.main.arn",
		"    type = \"fixed-response\"\n    fixed_response {\n      content_type = \"text/plain\"\n      status_code  = \"200\"\n    }"}},
		diagnose.InUse},
}

// doubles are pairs of faults, the one that a probe meets first in front.
var doubles = [][2]string{
	{"egress-none", "ingress-port"},
	{"egress-port", "ingress-udp"},
	{"egress-none", "app-answers-503"},
	{"ingress-from-itself", "listens-elsewhere"},
	{"ingress-port", "matcher"},
	{"egress-udp", "listens-elsewhere"},
	{"egress-of-the-target", "ingress-none"},
}

// planted writes the article's file with faults and reads it.
func planted(t *testing.T, edits ...edit) *topology.Topology {
	t.Helper()
	data, err := os.ReadFile("../source/terraform/testdata/seed-health-check/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, e := range edits {
		if strings.Count(text, e.old) != 1 {
			t.Fatalf("%q stands %d times in the file; want once", e.old, strings.Count(text, e.old))
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	topo, err := terraform.Load(dir, terraform.Options{Vars: map[string]string{"enable_alb_egress": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// examine runs the file in the lab and goes through the checklist with what
// was seen there.
func examine(t *testing.T, topo *topology.Topology) diagnose.Diagnosis {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{Topology: topo, App: lab.App{Command: []string{service}}, Scale: 50})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.WaitSettled(ctx); err != nil {
		t.Fatal(err)
	}
	st := l.Status()
	seen, err := diagnose.FromLab(topo, &st, func(c lab.Caller, url string) (call.Observation, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return l.Curl(ctx, c, url)
	})
	if err != nil {
		t.Fatal(err)
	}
	ds, err := diagnose.Diagnose(topo, diagnose.Options{Evidence: seen})
	if err != nil {
		t.Fatal(err)
	}
	if len(ds) != 1 {
		t.Fatalf("%d diagnoses; want one", len(ds))
	}
	return ds[0]
}

// found compares the faults with those planted, the culprit first.
func found(t *testing.T, d diagnose.Diagnosis, want ...string) {
	t.Helper()
	var got []string
	for _, l := range d.Faults() {
		got = append(got, l.Check)
		if l.Fix == "" || len(l.Evidence) == 0 {
			t.Errorf("%s lacks a fix or evidence: %+v", l.Check, l)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults %v; want %v: %s", got, want, d.Conclusion)
	}
	if d.State == "healthy" {
		t.Error("the lab says that the target is healthy")
	}
}

func TestSingleFaultsInTerraform(t *testing.T) {
	layer.Full(t, "starts a lab")
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found(t, examine(t, planted(t, f.edits...)), f.want)
		})
	}
}

func TestDoubleFaultsInTerraform(t *testing.T) {
	layer.Full(t, "starts a lab")
	for _, pair := range doubles {
		t.Run(pair[0]+"+"+pair[1], func(t *testing.T) {
			t.Parallel()
			a, b := faults[pair[0]], faults[pair[1]]
			found(t, examine(t, planted(t, append(slices.Clone(a.edits), b.edits...)...)), a.want, b.want)
		})
	}
}

// Nothing in the source says what the server on the instance speaks. The
// checklist cannot call it a fault, but must not call it fine either.
func TestCheckInAnotherProtocol(t *testing.T) {
	layer.Full(t, "starts a lab")
	d := examine(t, planted(t, edit{`    path                = "/"`, "    path                = \"/\"\n    protocol            = \"HTTPS\""}))
	if first := d.Lines[0]; first.Check != diagnose.Protocol || first.Status != diagnose.Suspect || !strings.Contains(d.Conclusion, "suspect protocol") {
		t.Errorf("first %s (%s), %q; want the protocol as suspect", first.Check, first.Status, d.Conclusion)
	}
}

func TestNothingWrongInTerraform(t *testing.T) {
	layer.Full(t, "starts a lab")
	d := examine(t, planted(t))
	if d.Conclusion != diagnose.NothingWrong || len(d.Faults()) != 0 || d.State != "healthy" || !d.Observed {
		t.Errorf("%s (%s), observed %v; want %q", d.Conclusion, d.State, d.Observed, diagnose.NothingWrong)
	}
	for _, l := range d.Lines {
		if l.Status == diagnose.Suspect {
			t.Errorf("suspect %s: %v", l.Check, l.Evidence)
		}
	}
}
