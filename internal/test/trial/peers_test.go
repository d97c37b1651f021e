package trial

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// hop is a way to the same app for a program that knows nothing of the lab.
type hop struct {
	name string
	to   lab.DialInfo
	host string      // for the Host header and the certificate
	ca   string      // of an HTTPS hop: the file of its authority
	tls  *tls.Config // nil for plain
}

func (h *hop) url(path string) string {
	scheme := "http"
	if h.tls != nil {
		scheme = "https"
	}
	_, port, _ := net.SplitHostPort(h.to.Dial)
	return scheme + "://" + net.JoinHostPort(h.host, port) + path
}

func (h *hop) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if h.to.From != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(h.to.From)}
	}
	return d.DialContext(ctx, "tcp", h.to.Dial)
}

// try is what a program does through a hop. It returns a word for the table,
// and an error when that is not what it must be.
type try struct {
	name string
	do   func(t *testing.T, h *hop) (string, error)
}

// ours are the hops that must pass; what others do is only noted.
var ours = []string{"agent", "ALB"}

// tryAll makes a table of all tries through all hops.
func tryAll(t *testing.T, hops []*hop, tries []try) (table string) {
	var b strings.Builder
	fmt.Fprint(&b, "| |")
	for _, h := range hops {
		fmt.Fprintf(&b, " %s |", h.name)
	}
	fmt.Fprintf(&b, "\n|%s\n", strings.Repeat(" --- |", len(hops)+1))
	for _, y := range tries {
		fmt.Fprintf(&b, "| %s |", y.name)
		for _, h := range hops {
			word, err := y.do(t, h)
			if err != nil {
				if slices.Contains(ours, h.name) {
					t.Errorf("%s through %s: %v", y.name, h.name, err)
				} else {
					t.Logf("%s through %s: %v", y.name, h.name, err)
				}
				word = "fails"
			}
			fmt.Fprintf(&b, " %s |", word)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

// inFront starts a lab in override mode with the given app, the article's
// deployment changed by edit, and HAProxy and nginx in front of the same app.
func inFront(t *testing.T, app string, edit func(*topology.Topology), bind, server, nginxConf string, alb string) []*hop {
	topo := labtest.Deployment(t, "bypass")
	if edit != nil {
		edit(topo)
	}
	dir := t.TempDir()
	r := start(t, topo, lab.Options{Dir: dir, App: lab.App{Command: []string{os.Args[0], app}}})
	st := r.Status()
	task := st.Service(r.app, "").Tasks[0]
	origin := task.Apps[0].Address
	override := 0
	for _, s := range topo.Services {
		if s.ID == r.app {
			override, _ = s.Connect.Endpoints[0].IngressPortOverride.Get()
		}
	}
	var hops []*hop
	agent, err := r.DialInfo(lab.Caller{Service: r.client}, fmt.Sprintf("http://%s:%d/", task.IP, override))
	if err != nil {
		t.Fatal(err)
	}
	hops = append(hops, &hop{name: "agent", to: agent, host: "app.sample-namespace"})
	url, err := r.LoadBalancerURL(r.balancer, 80)
	if err != nil {
		t.Fatal(err)
	}
	balanced, err := r.DialInfo(lab.Caller{}, url)
	if err != nil {
		t.Fatal(err)
	}
	a := &hop{name: "ALB", to: balanced, host: st.LoadBalancers[0].DNSName}
	if alb == "HTTPS" {
		a.ca = filepath.Join(dir, "ca.pem")
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		a.tls = &tls.Config{RootCAs: pool, ServerName: a.host}
	}
	hops = append(hops, a)
	hops = append(hops, &hop{name: "HAProxy", to: lab.DialInfo{Dial: labtest.HAProxy(t, origin, bind, server).Addr}, host: "app.test"})
	behind := labtest.Nginx(t, strings.ReplaceAll(nginxConf, "$ORIGIN", origin))
	hops = append(hops, &hop{name: "nginx", to: lab.DialInfo{Dial: behind.Addr}, host: "app.test"})
	return hops
}

// curl runs curl against a hop and returns what it prints.
func curl(t *testing.T, h *hop, path string, args ...string) (string, error) {
	ip, port, _ := net.SplitHostPort(h.to.Dial)
	all := []string{"-sS", "-m", "20", "--connect-to", fmt.Sprintf("%s:%s:%s:%s", h.host, port, ip, port)}
	if h.to.From != "" {
		all = append(all, "--interface", h.to.From)
	}
	if h.ca != "" {
		all = append(all, "--cacert", h.ca)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, labtest.Need(t, "curl"), append(append(all, args...), h.url(path))...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("curl %v: %w: %s", args, err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// says is a try in which curl must print something.
func says(name, want, path string, args ...string) try {
	return try{name, func(t *testing.T, h *hop) (string, error) {
		got, err := curl(t, h, path, args...)
		switch {
		case err != nil:
			return "", err
		case !strings.Contains(got, want):
			return "", fmt.Errorf("%.200q, want %q", got, want)
		}
		return "ok", nil
	}}
}

const oneMiB = 1 << 20

// TestForeignPrograms: nginx is the app; curl, wrk and k6 call it through the
// lab's hops, HAProxy and nginx.
func TestForeignPrograms(t *testing.T) {
	layer.Full(t, "starts labs and other people's programs")
	labtest.Need(t, "nginx")
	hops := inFront(t, "nginxapp", nil, "", "", nginxProxy("$ORIGIN"), "HTTP")
	file := "-w%{http_code} %{size_download} %{num_connects}\n"
	tries := []try{
		says("curl: GET 1 MiB", fmt.Sprintf("200 %d 1", oneMiB), "/file", "-o/dev/null", file),
		says("curl: 1 byte of it", "206 1 1", "/file", "-o/dev/null", file, "-r0-0"),
		says("curl: HEAD", fmt.Sprintf("ength: %d", oneMiB), "/file", "-I"),
		says("curl: gzip, chunked", "<li>", "/page", "--compressed", "-HAccept-Encoding: gzip"),
		says("curl: 304", "304 0 1", "/file", "-o/dev/null", file, "-HIf-Modified-Since: Fri, 01 Jan 2038 00:00:00 GMT"),
		says("curl: redirect followed", "<li>", "/moved", "-L", "--compressed"),
		says("curl: 204", "204 0 1", "/none", "-o/dev/null", file),
		says("curl: 1 MiB upload, 100-continue", "200 3 1", "/upload", "-o/dev/null", file, "-HExpect: 100-continue", "-T", megabyte(t)),
		says("curl: 1 MiB upload, chunked", "200 3 1", "/upload", "-o/dev/null", file, "-HTransfer-Encoding: chunked", "-T", megabyte(t)),
		{"curl: 3 requests, 1 connection", func(t *testing.T, h *hop) (string, error) {
			got, err := curl(t, h, "/none", "-o/dev/null", "-o/dev/null", "-o/dev/null", "-w%{num_connects} ", h.url("/none"), h.url("/page"))
			if err == nil && strings.TrimSpace(got) != "1 0 0" {
				err = fmt.Errorf("connections %q", got)
			}
			return "ok", err
		}},
		{"wrk: 16 connections", wrk},
		{"k6: 10 users", k6},
	}
	table := tryAll(t, hops, tries)
	t.Logf("\n%s", table)
	document().Same(t, "foreign programs", table)
}

func megabyte(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "megabyte")
	labtest.Write(t, path, strings.Repeat("0123456789abcde\n", oneMiB/16))
	return path
}

// wrk must see neither a failed connection nor another status.
func wrk(t *testing.T, h *hop) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// wrk cannot choose its own address: a hop that tells callers by theirs sees a stranger, and serves it.
	out, err := exec.CommandContext(ctx, labtest.Need(t, "wrk"), "-t1", "-c16", "-d1s", "-H", "Host: "+h.host, "http://"+h.to.Dial+"/none").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	_, rest, ok := strings.Cut(string(out), "requests in")
	f := strings.Fields(string(out[:len(out)-len(rest)]))
	n := 0
	if ok && len(f) > 2 {
		n, _ = strconv.Atoi(f[len(f)-3])
	}
	if bad := strings.Contains(string(out), "Socket errors") || strings.Contains(string(out), "Non-2xx"); bad || n < 100 {
		return "", fmt.Errorf("%d requests: %s", n, out)
	}
	return "ok", nil
}

// nginxApp is nginx as the lab's app: this program starts it, says where it
// listens as the lab expects, and ends it.
func nginxApp() int {
	dir, err := os.MkdirTemp("", "nginx-app-")
	if err != nil {
		return fault1(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("LISTEN_ADDRESS"), os.Getenv("PORT")))
	if err != nil {
		return fault1(err)
	}
	addr := l.Addr().String()
	l.Close() // nginx binds it again at once
	page := "<ol>" + strings.Repeat("<li>item\n", 2000) + "</ol>"
	for name, text := range map[string]string{
		"file": strings.Repeat("0123456789abcde\n", oneMiB/16), "page": page,
		"nginx.conf": labtest.SameUser() + fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http { access_log off; gzip on; gzip_types *; gzip_proxied any; client_max_body_size 0; keepalive_requests 100000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; root %[1]s; default_type text/html; if_modified_since before; absolute_redirect off;
    location = / { return 200 "nginx\n"; }
    location = /none { return 204; }
    location = /moved { return 302 /page; }
    location = /file { gzip off; }
    location = /upload { proxy_pass http://%[2]s/received; }
    location = /received { return 200 "ok\n"; }
  } }
`, dir, addr),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fault1(err)
		}
	}
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx"
	}
	return runApp(addr, exec.Command(path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "nginx.conf")))
}
