package change_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

// read reads a template as every command does.
func read(t testing.TB, template []byte) *topology.Topology {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.template.json")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		t.Fatal(err)
	}
	top, err := source.Load(t.Context(), []string{path}, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// told is everything that is predicted of a deployment.
func told(t testing.TB, top *topology.Topology) []string {
	t.Helper()
	p, err := reach.New(top, reach.Options{Callers: []reach.Caller{{Kind: reach.CallerWithoutAgent, Name: "host"}}})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for pr := range p.All() {
		out = append(out, fmt.Sprintf("%s %s %s %+v %+v", pr.ID, pr.URL, pr.Path, pr.Outcome, pr.Target))
	}
	slices.Sort(out) // in whatever order the resources stand
	return out
}

var kinds = []change.Kind{change.Override, change.AliasPort, change.ContainerPort, change.RulePorts, change.Admit, change.Egress,
	change.HealthPath, change.HealthPort, change.Binding, change.Count}

// anyChange is any of the offers with a value that fits it.
func anyChange(rng *rand.Rand, offers []change.Offer) change.Change {
	o := offers[rng.IntN(len(offers))]
	c := o.Change
	switch {
	case o.Removable && rng.IntN(3) == 0:
		c.To = ""
	case o.Form == "choice":
		c.To = o.Choices[rng.IntN(len(o.Choices))]
	case o.Form == "path":
		c.To = []string{"/", "/healthz", "/nope"}[rng.IntN(3)]
	case o.Form == "count":
		c.To = fmt.Sprint(rng.IntN(4))
	default:
		c.To = []string{"80", "8080", "9090", "81", "3000"}[rng.IntN(5)]
		if o.Form == "ports" && rng.IntN(3) == 0 {
			c.To += "-9999"
		}
	}
	if c.Kind == change.Admit {
		c.Peer = []string{"10.0.0.0/16", "fd00::/8"}[rng.IntN(2)]
		if len(o.Peers) > 0 && rng.IntN(3) > 0 {
			c.Peer = o.Peers[rng.IntN(len(o.Peers))].ID
		}
	}
	return c
}

// templates are deployments of every kind that scenario makes, and cfntest's.
func templates() [][]byte {
	out := [][]byte{cfntest.Template(33)}
	for seed := range uint64(25) {
		c := scenario.Random(rand.New(rand.NewPCG(seed, 1)))
		out = append(out, c.Template())
	}
	return out
}

// A deployment that is changed is predicted as the template is into which the
// edits were written, and what was before stays: undo is leaving a change out.
func TestPredictedAsTheTemplateWithTheChange(t *testing.T) {
	tried := map[change.Kind]int{}
	for n, template := range templates() {
		rng := rand.New(rand.NewPCG(uint64(n), 2))
		top := read(t, template)
		before := told(t, top)
		var made []change.Change
		for range 4 {
			now, _, err := change.Make(top, made...)
			if err != nil {
				t.Fatal(err)
			}
			offers := change.Offers(topology.NewIndex(now))
			if len(offers) == 0 {
				t.Fatalf("template %d: nothing can be changed", n)
			}
			c := anyChange(rng, offers)
			next, edits, err := change.Make(top, append(slices.Clone(made), c)...)
			if err != nil {
				t.Errorf("template %d: %+v was offered: %v", n, c, err)
				break
			}
			made = append(made, c)
			tried[c.Kind]++
			written := write(t, template, edits)
			if got, want := told(t, next), told(t, read(t, written)); !slices.Equal(got, want) {
				t.Errorf("template %d, %+v:\n%s", n, made, first(got, want))
				break
			}
			undone, _, err := change.Make(top, made[:len(made)-1]...)
			if err != nil || !topology.Same(undone, now) {
				t.Errorf("template %d: without %+v it is not what it was: %v", n, c, err)
			}
		}
		if after := told(t, top); !slices.Equal(after, before) {
			t.Errorf("template %d: %+v changed what they began with", n, made)
		}
	}
	for _, k := range kinds {
		if tried[k] == 0 {
			t.Errorf("no change of %s was tried", k)
		}
	}
}

func first(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return "got  " + got[i] + "\nwant " + want[i]
		}
	}
	return fmt.Sprintf("%d predictions, want %d", len(got), len(want))
}

// write writes edits into a template, as somebody would who reads the diff.
func write(t *testing.T, template []byte, edits []change.Edit) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(template, &doc); err != nil {
		t.Fatal(err)
	}
	resources := doc["Resources"].(map[string]any)
	for _, e := range edits {
		name := string(e.Resource.ID)[strings.LastIndexByte(string(e.Resource.ID), '/')+1:]
		to := plain(e.To)
		switch {
		case len(e.Path) > 0:
			p, ok := resources[name].(map[string]any)["Properties"].(map[string]any)
			if !ok {
				t.Fatalf("%s has no properties", name)
			}
			set(t, p, e.Path, to)
		case to == nil:
			delete(resources, name)
		default:
			resources[name] = map[string]any{"Type": e.Resource.Type, "Properties": to}
		}
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// plain is a value as JSON of a template.
func plain(v any) any {
	switch v := v.(type) {
	case change.Reference:
		id := string(v.Of.ID)
		return map[string]any{"Fn::GetAtt": []any{id[strings.LastIndexByte(id, '/')+1:], "GroupId"}}
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	case []any:
		out := []any{}
		for _, x := range v {
			out = append(out, plain(x))
		}
		return out
	}
	return v
}

// set sets what stands at a path and returns what then stands in its place.
func set(t *testing.T, in any, path []any, to any) any {
	t.Helper()
	if len(path) == 0 {
		return to
	}
	switch key := path[0].(type) {
	case int:
		list, _ := in.([]any)
		switch {
		case key > len(list):
			t.Fatalf("no entry %d", key)
		case key == len(list):
			return append(list, set(t, nil, path[1:], to))
		case len(path) == 1 && to == nil:
			return slices.Delete(list, key, key+1)
		}
		list[key] = set(t, list[key], path[1:], to)
		return list
	case string:
		if key == "Environment" {
			return environment(in.(map[string]any), path[1].(string), to)
		}
		m, _ := in.(map[string]any)
		if m == nil {
			m = map[string]any{}
		}
		if m[key] = set(t, m[key], path[1:], to); m[key] == nil {
			delete(m, key)
		}
		return m
	}
	t.Fatalf("path %v", path)
	return nil
}

func environment(container map[string]any, name string, to any) any {
	list, _ := container["Environment"].([]any)
	list = slices.DeleteFunc(list, func(v any) bool { return v.(map[string]any)["Name"] == name })
	if to != nil {
		list = append(list, map[string]any{"Name": name, "Value": to})
	}
	container["Environment"] = list
	return container
}

// Whatever a browser sends is a change that fits or is refused, and leaves what
// was there alone.
func FuzzMake(f *testing.F) {
	for _, k := range kinds {
		f.Add(string(k), "app/Service", 0, 0, true, "10.0.0.0/8", "8080")
	}
	c := scenario.Default()
	top, err := c.Topology()
	if err != nil {
		f.Fatal(err)
	}
	untouched, err := c.Topology()
	if err != nil {
		f.Fatal(err)
	}
	ids := map[topology.ID]bool{}
	for _, o := range change.Offers(topology.NewIndex(top)) {
		ids[o.On] = true
	}
	sorted := slices.Sorted(maps.Keys(ids))
	f.Fuzz(func(t *testing.T, kind, on string, i, k int, out bool, peer, to string) {
		one := change.Change{Kind: change.Kind(kind), On: topology.ID(on), At: [2]int{i, k}, Out: out, Peer: peer, To: to}
		if n := len(on); n%2 == 0 {
			one.On = sorted[n/2%len(sorted)]
		}
		now, edits, err := change.Make(top, one)
		if !topology.Same(top, untouched) {
			t.Fatalf("%+v changed what it began with", one)
		}
		if err != nil {
			return
		}
		if len(edits) == 0 && !topology.Same(now, top) {
			t.Errorf("%+v changes what no edit tells", one)
		}
		for _, l := range change.Diff(edits) {
			if strings.ContainsAny(l.Text, "\n\x1b") {
				t.Errorf("%+v: the diff holds %q", one, l.Text)
			}
		}
		change.Copy(edits)
	})
}

// A change tells itself in the source's terms and in three languages.
func TestTexts(t *testing.T) {
	c := scenario.Default()
	top, err := c.Topology()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind                 change.Kind
		to                   string
		diff, cfn, tf, cdkGo string
	}{
		{change.Override, "8080", "+ ServiceConnectConfiguration.Services[0].IngressPortOverride: 8080", "IngressPortOverride: 8080",
			"ingress_port_override = 8080",
			`AddPropertyOverride(jsii.String("ServiceConnectConfiguration.Services.0.IngressPortOverride"), jsii.Number(8080))`},
		{change.HealthPath, "/x", "+ HealthCheckPath: /x", `HealthCheckPath: "/x"`, `path = "/x"`,
			`AddPropertyOverride(jsii.String("HealthCheckPath"), jsii.String("/x"))`},
		{change.Count, "3", "+ DesiredCount: 3", "DesiredCount: 3", "desired_count = 3",
			`AddPropertyOverride(jsii.String("DesiredCount"), jsii.Number(3))`},
		{change.Egress, "nothing", "255.255.255.255/32", `CidrIp: "255.255.255.255/32"`, `cidr_blocks = ["255.255.255.255/32"]`,
			`"IpProtocol": jsii.String("icmp")`},
		{change.Binding, "eth0", "+ ContainerDefinitions[0].Environment.LISTEN_ADDRESS: eth0", `Value: "eth0"`,
			`environment.LISTEN_ADDRESS = "eth0"`,
			`container.AddEnvironment(jsii.String("LISTEN_ADDRESS"), jsii.String("eth0"))`},
		{change.Admit, "8080-8090", "FromPort: 8080", "FromPort: 8080", "from_port = 8080", `"FromPort": jsii.Number(8080)`},
	} {
		offers := change.Offers(topology.NewIndex(top))
		i := slices.IndexFunc(offers, func(o change.Offer) bool { return o.Kind == c.kind })
		if i < 0 {
			t.Fatalf("%s is not offered", c.kind)
		}
		one := offers[i].Change
		one.To = c.to
		if c.kind == change.Admit {
			one.Peer = offers[i].Peers[0].ID
		}
		_, edits, err := change.Make(top, one)
		if err != nil {
			t.Fatal(err)
		}
		var diff strings.Builder
		for _, l := range change.Diff(edits) {
			fmt.Fprintln(&diff, strings.TrimSpace(l.Sign+" "+l.Text))
		}
		got := change.Copy(edits)
		for _, x := range []struct{ what, got, want string }{
			{"diff", diff.String(), c.diff}, {"CloudFormation", got.CloudFormation, c.cfn},
			{"Terraform", got.Terraform, c.tf}, {"CDK", got.CDK, c.cdkGo},
		} {
			if !strings.Contains(x.got, x.want) {
				t.Errorf("%s as %s:\n%swant in it %s", c.kind, x.what, x.got, x.want)
			}
		}
		if testing.Verbose() {
			t.Logf("\n%s\n%s\n%s\n%s", diff.String(), got.CloudFormation, got.Terraform, got.CDK)
		}
	}
}

// What does not fit is refused with what was expected.
func TestRefused(t *testing.T) {
	c := scenario.Default()
	top, err := c.Topology()
	if err != nil {
		t.Fatal(err)
	}
	offers := change.Offers(topology.NewIndex(top))
	for _, bad := range []struct {
		kind     change.Kind
		to, want string
	}{
		{change.Override, "65536", "expected a port from 1 to 65535"}, {change.Override, "+80", "expected a port"},
		{change.AliasPort, "", "expected a port"},
		{change.Count, "21", "expected a count from 0 to 20"}, {change.HealthPath, "nope", "begins with /"},
		{change.HealthPath, "/a\nb", "printable"},
		{change.HealthPort, "http", "traffic-port"}, {change.Egress, "some", "everything or nothing"}, {change.Binding, "::", "expected one of"},
		{change.RulePorts, "90-80", "lower port first"}, {change.Admit, "80", "expected a security group"},
		{change.Kind("other"), "", "no such kind"},
		{change.HealthPath, "/" + strings.Repeat("a", 300), "at most 256 bytes"},
	} {
		one := change.Change{Kind: bad.kind, To: bad.to}
		if i := slices.IndexFunc(offers, func(o change.Offer) bool { return o.Kind == bad.kind }); i >= 0 {
			one = offers[i].Change
			one.To = bad.to
		}
		if _, _, err := change.Make(top, one); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s to %.20q: %v, want %q", bad.kind, bad.to, err, bad.want)
		}
	}
}
