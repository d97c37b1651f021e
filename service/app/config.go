package app

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// config is what the environment says. The variables, with their defaults:
//
//	PORT=80              0 lets the kernel choose; the first log line names the address
//	LISTEN_ADDRESS=      empty listens on every address, IPv4 and IPv6
//	INSTANCE=hostname    this instance's name in the header X-Hoplab-App
//	DEPENDENCIES=        what /readyz tests: a comma-separated list of tcp://host:port,
//	                     http://host/path, https://host/path, unix:///path
//	SOCKET=              path of a Unix socket to answer on as well; an old file there is replaced
//	PROXY_TO=            http://host:port of an app: be a proxy in front of it
//	PROXY_ANSWERS=       path that the proxy answers itself with 200, whatever the app does
//	IDLE_TIMEOUT=75s     how long an idle connection is kept. Longer than the
//	                     load balancer's 60 s, or it would send a request into
//	                     a connection that is just being closed and answer 502
//	SERVICE_STOP=25s     how long a stop waits for open requests. Shorter than
//	                     the 30 s after which Amazon ECS kills the task
//	ACCESS_LOG=on        off writes no line per request
//
// and, for experiments with a known answer, what GET / and POST / do:
//
//	HELLO=Hello World    its body
//	BODY_BYTES=          its size, if not HELLO's: HELLO over and over, cut there
//	STATUS=200           its status
//	DELAY=               sleep before answering: "20s" for /, or "/healthz=20s,/=1s"
//	EVENTS=1s            pause between the events of GET /events, which never ends,
//	                     and of GET /socket, which takes any Upgrade
//	SPIN=                keep a core busy: "200us", or "200us@0.02" for that share
//	                     of the requests. The header X-Hoplab-Spin-Us tells the
//	                     microseconds that it took in fact, 0 for the others
type config struct {
	address      string // host:port
	instance     string
	dependencies []*url.URL
	socket       string
	proxyTo      *url.URL
	proxyAnswers string
	idle, stop   time.Duration
	accessLog    bool

	hello     string
	status    int
	delay     map[string]time.Duration // by path
	events    time.Duration
	spin      time.Duration
	spinShare float64
}

func parseConfig(getenv func(string) string) (config, error) {
	var first error
	read := func(name, fallback string, parse func(string) error) {
		v := getenv(name)
		if v == "" {
			v = fallback
		}
		if err := parse(v); err != nil && first == nil {
			first = fmt.Errorf("%s=%q: %w", name, v, err)
		}
	}
	var c config
	host := strings.Trim(getenv("LISTEN_ADDRESS"), "[]")
	read("PORT", "80", func(v string) error {
		_, err := strconv.ParseUint(v, 10, 16)
		c.address = net.JoinHostPort(host, v)
		return wrap(err, "expected a port from 0 to 65535")
	})
	read("INSTANCE", hostname(), func(v string) error {
		c.instance = v
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("expected printable ASCII, because it goes into a header")
		}
		return nil
	})
	read("DEPENDENCIES", "", func(v string) (err error) { c.dependencies, err = parseDependencies(v); return })
	read("SOCKET", "", func(v string) error { c.socket = v; return nil })
	read("PROXY_TO", "", func(v string) (err error) { c.proxyTo, err = parseProxyTo(v); return })
	read("PROXY_ANSWERS", "", func(v string) error {
		c.proxyAnswers = v
		if v != "" && (!strings.HasPrefix(v, "/") || c.proxyTo == nil) {
			return fmt.Errorf("expected a path, together with PROXY_TO")
		}
		return nil
	})
	read("IDLE_TIMEOUT", "75s", func(v string) (err error) { c.idle, err = parseDuration(v); return })
	read("SERVICE_STOP", "25s", func(v string) (err error) { c.stop, err = parseDuration(v); return })
	read("ACCESS_LOG", "on", func(v string) error {
		c.accessLog = v == "on"
		if v != "on" && v != "off" {
			return fmt.Errorf("expected on or off")
		}
		return nil
	})
	read("HELLO", "Hello World", func(v string) error { c.hello = v; return nil })
	read("BODY_BYTES", "", func(v string) (err error) { c.hello, err = fill(c.hello, v); return })
	read("STATUS", "200", func(v string) (err error) {
		c.status, err = strconv.Atoi(v)
		if err != nil || c.status < 200 || c.status > 599 {
			return fmt.Errorf("expected an HTTP status from 200 to 599")
		}
		return nil
	})
	read("DELAY", "", func(v string) (err error) { c.delay, err = parseDelay(v); return })
	read("EVENTS", "1s", func(v string) (err error) { c.events, err = parseDuration(v); return })
	read("SPIN", "", func(v string) (err error) { c.spin, c.spinShare, err = parseSpin(v); return })
	return c, first
}

// maxBody bounds BODY_BYTES: the body is kept in memory.
const maxBody = 1 << 20

// fill returns text over and over, as many bytes of it as size says; text itself for "".
func fill(text, size string) (string, error) {
	if size == "" {
		return text, nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 1 || n > maxBody || text == "" {
		return text, fmt.Errorf("expected 1 to %d bytes of a HELLO that is not empty", maxBody)
	}
	return strings.Repeat(text, n/len(text)+1)[:n], nil
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func parseProxyTo(v string) (*url.URL, error) {
	if v == "" {
		return nil, nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("expected http://host:port")
	}
	return u, nil
}

func parseDuration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("expected a positive duration such as 75s or 200us")
	}
	return d, nil
}

func parseDelay(v string) (map[string]time.Duration, error) {
	delays := map[string]time.Duration{}
	for _, item := range list(v) {
		path, text, found := strings.Cut(item, "=")
		if !found {
			path, text = "/", item
		}
		d, err := parseDuration(text)
		if err != nil || !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("%q: expected a duration, or path=duration", item)
		}
		delays[path] = d
	}
	return delays, nil
}

func parseSpin(v string) (time.Duration, float64, error) {
	if v == "" {
		return 0, 0, nil
	}
	text, shareText, found := strings.Cut(v, "@")
	d, err := parseDuration(text)
	if err != nil {
		return 0, 0, err
	}
	share := 1.0
	if found {
		share, err = strconv.ParseFloat(shareText, 64)
		if err != nil || !(share > 0 && share <= 1) {
			return 0, 0, fmt.Errorf("expected a share in (0, 1] after @")
		}
	}
	return d, share, nil
}

// list splits a comma-separated value and drops empty items.
func list(v string) []string {
	var items []string
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func wrap(err error, text string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s", text)
}
