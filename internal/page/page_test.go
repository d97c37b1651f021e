package page_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

var picture = flag.Bool("picture", false, "take the README's picture anew, in TestPagesInABrowser")

const pictureFile = "../../docs/explain-page.png"

func model(t testing.TB, top *topology.Topology) *page.Model {
	t.Helper()
	p, err := reach.New(top, reach.Options{MaxPairs: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return page.New(topology.NewIndex(top), p, p.All())
}

func document(t *testing.T, m *page.Model) string {
	t.Helper()
	var out bytes.Buffer
	if err := page.HTML(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostile are texts that would be markup, code or a way out where text becomes
// more than text, and texts that break a layout.
var hostile = []string{
	`</script><script>document.title="ran"</script>`, `<img src=x onerror='document.title="ran"'>`, `"><svg onload=alert(1)>`, `__proto__`,
	`constructor`, "a\u202eb\u0000c\u2028d", `javascript:alert(1)`, strings.Repeat("long-name-", 40), strings.Repeat("W", 300),
	"日本語のとても長いサービス名です🚀🚀🚀",
	`<!--`, `]]>`, `${{x}}`, `a'b"c&d`, " ", strings.Repeat("é́́́", 30),
}

// spoilt is the healthy deployment in which every name is a hostile text.
func spoilt(n int) *topology.Topology {
	f := topologytest.Healthy()
	at := func(i int) string { return hostile[(n+i)%len(hostile)] }
	f.Name = at(0)
	f.Server.Name, f.Client.Name = topology.Known(at(1)), topology.Known(at(2))
	f.ALB.Name = topology.Known(at(3))
	f.AppGroup.Name, f.ClientGroup.Name, f.ALBGroup.Name = topology.Known(at(4)), topology.Known(at(5)), topology.Known(at(6))
	f.Subnets[0].Path, f.VPCs[0].Path = at(7), at(8)
	f.Endpoint().Aliases[0].DNSName = topology.Known(at(9))
	return f.Topology
}

// many is a deployment of so many services that each publish a name.
func many(n int) *topology.Topology {
	f := topologytest.Healthy()
	for i := range n - 2 {
		s := *f.Server
		c := *s.Connect
		s.ID, s.Connect = topology.ID(fmt.Sprintf("Main/Service%d", i)), &c
		s.Name = topology.Known(fmt.Sprintf("service-number-%d", i))
		c.Endpoints = []topology.Endpoint{{PortName: topology.Known("app"), DiscoveryName: topology.Known(fmt.Sprintf("app-%d", i)),
			Aliases: []topology.Alias{{Port: topology.Known(80 + i)}}}}
		f.Services = append(f.Services, &s)
	}
	return f.Topology
}

// What a template says never ends the element that it stands in, and each
// script and style of the file is one that the policy names.
func TestTextStaysText(t *testing.T) {
	for n := range hostile {
		doc := document(t, model(t, spoilt(n)))
		body := doc[strings.Index(doc, `id="model">`):]
		data := body[len(`id="model">`):strings.Index(body, "</script>")]
		if !json.Valid([]byte(data)) || strings.ContainsAny(data, "<>\x00\u202e\u2028") {
			t.Errorf("case %d: the model is not plain JSON: %.200s", n, data)
		}
		if got := strings.Count(doc, "<script"); got != 2 {
			t.Errorf("case %d: %d scripts, want the model and the program", n, got)
		}
		title := regexp.MustCompile(`<title>[^<]*</title>`).FindString(doc)
		if title == "" || strings.Contains(html.UnescapeString(title), "\u202e") {
			t.Errorf("case %d: title %q", n, title)
		}
	}
}

// The same deployment gives the same bytes, small enough for a pull request,
// and the file loads nothing.
func TestOneFile(t *testing.T) {
	doc := document(t, model(t, topologytest.Healthy().Topology))
	if doc != document(t, model(t, topologytest.Healthy().Topology)) {
		t.Error("the same value gave other bytes")
	}
	if len(doc) > 200_000 {
		t.Errorf("%d bytes", len(doc))
	}
	for _, bad := range []string{" src=", "@import", "url(", "eval(", "new Function"} {
		if strings.Contains(strings.ReplaceAll(doc, "url(#", ""), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
}

// asked is one request that is typed into the page.
type asked struct {
	Caller string   `json:"caller"`
	URL    string   `json:"url"`
	Want   []string `json:"want"`
	Gate   string   `json:"gate,omitempty"`
}

// driven is one page in the browser; Within bounds its first map, in ms of processor time.
type driven struct {
	Name     string  `json:"name"`
	File     string  `json:"file"`
	Asks     []asked `json:"asks,omitempty"`
	Keyboard bool    `json:"keyboard,omitempty"`
	Within   int     `json:"within,omitempty"`
	Views    []int   `json:"views,omitempty"` // from and to; all four without
	Picture  string  `json:"picture,omitempty"`
}

// A browser shows every page at a desk's and a phone's width in both themes:
// requests are asked by clicking, and nothing runs out of the page, is hidden
// from a screen reader, or becomes markup.
func TestPagesInABrowser(t *testing.T) {
	layer.Full(t, "needs a browser")
	shut := topologytest.Healthy()
	shut.Name = "cdk.out"
	shut.ALBGroup.Egress = []topology.Rule{topologytest.TCP(81, 81, topologytest.Group(shut.AppGroup))}
	pages := []driven{
		{Name: "healthy", File: written(t, topologytest.Healthy().Topology), Keyboard: true, Asks: []asked{
			{"client-service", "http://app.sample-namespace", []string{"200 from the app", "client agent of client-service"}, ""},
			{"client-service", "http://app.sample-namespace:8080/", []string{"curl: (56) Recv failure: Connection reset by peer"}, ""},
			{"client-service", "http://app-service:80", []string{"stops here", "AppSg: ingress tcp 80 from ClientSg"}, "AppSg"},
			{"client-service", "http://nobody:1/", []string{"no prediction for http://nobody:1/"}, ""},
		}},
		{Name: "no egress", File: written(t, shut.Topology), Asks: []asked{
			{"an admitted caller", "http://Alb/", []string{"504 from the alb", "opens it", "AlbSg: egress tcp 80 to AppSg"}, "AlbSg"},
		}},
		{Name: "20 services", File: written(t, many(20)), Within: 1000},
	}
	for n := range hostile {
		pages = append(pages, driven{Name: fmt.Sprintf("hostile %d", n), File: written(t, spoilt(n)), Views: []int{n % 4, n%4 + 1}})
	}
	if *picture {
		pages = []driven{{Name: "picture", File: written(t, shut.Topology), Picture: pictureFile,
			Asks: []asked{{"an admitted caller", "http://Alb/", []string{"504 from the alb"}, "AlbSg"}}}}
	}
	for _, problem := range drive(t, pages) {
		t.Error(problem)
	}
}

func written(t testing.TB, top *topology.Topology) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := page.HTML(f, model(t, top)); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// drive runs drive.mjs and returns what it found wrong.
func drive(t *testing.T, pages []driven) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(labtest.Drive(t, "drive.mjs", map[string]any{"browser": labtest.Driven(t), "pages": pages})) {
		var text string
		if err := json.Unmarshal([]byte(line), &text); err != nil {
			t.Fatalf("drive.mjs printed %q: %v", line, err)
		}
		found = append(found, text)
	}
	return found
}

// Every stop of a path is on the map, and each port where it counts.
func TestTheMapHoldsThePaths(t *testing.T) {
	m := model(t, topologytest.Healthy().Topology)
	on := map[string]bool{}
	for _, h := range m.Map.Hosts {
		on[h.ID] = true
	}
	for _, p := range m.Paths {
		for i, s := range p.Stops {
			if !on[s.From.Host] || !on[s.To.Host] {
				t.Errorf("%s: stop %d goes from %+v to %+v", p.ID, i, s.From, s.To)
			}
			if i > 0 && p.Stops[i-1].To.Host != s.From.Host {
				t.Errorf("%s: stop %d begins on another host than the last ends", p.ID, i)
			}
		}
	}
	i := slices.IndexFunc(m.Map.Hosts, func(h page.Host) bool { return h.Label == "app-service" })
	want := page.HostPort{Name: "app.sample-namespace", Client: "80", Ingress: "8080", Container: "80"}
	if i < 0 || !slices.Contains(m.Map.Hosts[i].Ports, want) {
		t.Errorf("app-service does not show %+v: %+v", want, m.Map.Hosts)
	}
}

// More predictions than a file carries are counted, the likely ones kept.
func TestManyPredictions(t *testing.T) {
	m := model(t, many(60))
	if len(m.Paths) != page.MaxPaths || m.LeftOut == 0 {
		t.Errorf("%d paths, %d left out", len(m.Paths), m.LeftOut)
	}
	last := slices.IndexFunc(m.Paths, func(p page.Path) bool { return !p.Likely })
	if last < 0 || slices.ContainsFunc(m.Paths[last:], func(p page.Path) bool { return p.Likely }) {
		t.Error("likely paths do not come first")
	}
}

// The bundle that is committed is the one that web/ makes, and its types hold.
func TestBundle(t *testing.T) {
	layer.Full(t, "runs esbuild and tsc")
	if _, err := os.Stat("../../node_modules/esbuild"); err != nil {
		layer.Lacking(t, "no esbuild: run npm ci")
	}
	for _, argv := range [][]string{{"node", "build.mjs", "--check"}, {"node", "../../node_modules/typescript/bin/tsc", "-p", "web"}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", argv, err, out)
		}
	}
}
