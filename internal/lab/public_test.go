package lab_test

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// realCurl skips where there is no curl.
func realCurl(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err == nil {
		return path
	}
	layer.Lacking(t, "curl is not installed; it is what this test calls the lab with")
	return ""
}

// browser calls the public load balancer with the real curl, which believes
// that the load balancer's name leads to it on both ports.
type browser struct {
	t    *testing.T
	lab  *lab.Lab
	curl string
	name string
}

func open(t *testing.T, topo *topology.Topology) *browser {
	t.Helper()
	b := &browser{t: t, curl: realCurl(t), lab: start(t, lab.Options{Topology: topo})}
	healthy(t, b.lab)
	b.name = b.lab.Status().LoadBalancers[0].DNSName
	return b
}

// get runs curl for a URL, under a name that leads to the load balancer, and
// returns its output and exit code.
func (b *browser) get(name, target string, args ...string) (string, int) {
	b.t.Helper()
	for _, scheme := range []string{"http", "https"} {
		d, err := b.lab.DialInfo(lab.Caller{}, scheme+"://"+b.name+"/")
		if err != nil {
			b.t.Fatal(err)
		}
		port := map[string]string{"http": "80", "https": "443"}[scheme]
		args = append(args, "--connect-to", name+":"+port+":"+d.Dial)
	}
	args = append(args, "--silent", "--show-error", "--noproxy", "*", "--max-time", "10", target)
	cmd := exec.Command(b.curl, args...)
	out, err := cmd.CombinedOutput()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		b.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// protocols lists what this curl speaks, as options.
func (b *browser) protocols() []string {
	b.t.Helper()
	about, err := exec.Command(b.curl, "--version").Output()
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(string(about), "HTTP2") {
		return []string{"--http1.1", "--http2"}
	}
	return []string{"--http1.1"}
}

func (b *browser) ca() string { return b.lab.Status().CA }

// HTTPS with the lab's authority and the name verified, HTTP redirected to it.
func TestPublicBackend(t *testing.T) {
	layer.Full(t, "starts a lab")
	b := open(t, labtest.Deployment(t, "public"))
	if b.ca() == "" {
		t.Fatal("the status names no authority")
	}
	for _, http := range b.protocols() {
		if out, code := b.get(b.name, "https://"+b.name+"/", http, "--cacert", b.ca()); code != 0 || out != "Hello World" {
			t.Errorf("%s: exit code %d: %q; want Hello World", http, code, out)
		}
	}
	if out, code := b.get(b.name, "https://"+b.name+"/api/v1/health_check", "--cacert", b.ca()); code != 0 || !strings.Contains(out, `"ok"`) {
		t.Errorf("the health check's path: exit code %d: %q", code, out)
	}

	const notVerified = 60 // curl's exit code
	if out, code := b.get(b.name, "https://"+b.name+"/"); code != notVerified {
		t.Errorf("without the authority: exit code %d: %q; want %d", code, out, notVerified)
	}
	if out, code := b.get("other.example", "https://other.example/", "--cacert", b.ca()); code != notVerified {
		t.Errorf("under a name that the certificate lacks: exit code %d: %q; want %d", code, out, notVerified)
	}
}

func TestPublicBackendRedirects(t *testing.T) {
	layer.Full(t, "starts a lab")
	b := open(t, labtest.Deployment(t, "public"))
	out, code := b.get(b.name, "http://"+b.name+"/a/b?c=d", "--output", os.DevNull, "--write-out", "%{http_code} %{redirect_url}")
	status, location, _ := strings.Cut(out, " ")
	u, err := url.Parse(location)
	if code != 0 || status != "301" || err != nil || u.Scheme != "https" || u.Hostname() != b.name || u.RequestURI() != "/a/b?c=d" {
		t.Errorf("exit code %d, %q; want 301 to the same place on HTTPS", code, out)
	}
	if p := u.Port(); p != "" && p != "443" {
		t.Errorf("the redirect leads to port %s; want 443", p)
	}
	if out, code := b.get(b.name, "http://"+b.name+"/", "--location", "--cacert", b.ca()); code != 0 || out != "Hello World" {
		t.Errorf("following it: exit code %d: %q; want Hello World", code, out)
	}
}

// With httpMode=forward, as in the article, both listeners forward.
func TestPublicBackendForwards(t *testing.T) {
	layer.Full(t, "starts a lab")
	topo := labtest.Deployment(t, "public")
	var plain, secure *topology.Listener
	for _, ln := range topo.LoadBalancers[0].Listeners {
		if ln.Port.Or(0) == 443 {
			secure = ln
		} else {
			plain = ln
		}
	}
	plain.Default = secure.Default
	b := open(t, topo)
	for _, target := range []string{"http://" + b.name + "/", "https://" + b.name + "/"} {
		if out, code := b.get(b.name, target, "--cacert", b.ca()); code != 0 || out != "Hello World" {
			t.Errorf("%s: exit code %d: %q; want Hello World", target, code, out)
		}
	}
}

// Nothing of the deployment can be reached but the load balancer's two ports.
func TestPublicBackendIsClosedOtherwise(t *testing.T) {
	layer.Full(t, "starts a lab")
	b := open(t, labtest.Deployment(t, "public"))
	if _, err := b.lab.DialInfo(lab.Caller{}, "http://"+net.JoinHostPort(b.name, "8080")+"/"); err == nil {
		t.Error("port 8080 of the load balancer can be dialled")
	}
	for _, s := range b.lab.Status().Services {
		for _, task := range s.Tasks {
			if _, err := b.lab.DialInfo(lab.Caller{}, "http://"+task.IP+"/"); err == nil {
				t.Errorf("a task of %s can be reached from outside", s.Name)
			}
		}
	}
}
