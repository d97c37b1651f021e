package samplefile

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Request is what a load sends to endpoints that are not hoplab's own.
type Request struct {
	Method string `json:"method,omitempty"` // "" is GET, or POST where there is a body
	// Headers are sent with every request, "Name: value" each, in their order. A
	// ${NAME} in a value is the load generator's environment variable of that
	// name, see Expand: a secret stands in no file.
	Headers []string `json:"headers,omitempty"`
	// Body is what every request carries, in place of RequestBytes.
	Body string `json:"body,omitempty"`
	// HTTP2 speaks HTTP/2: agreed on in the handshake with TLS, at once without.
	HTTP2 bool `json:"http2,omitempty"`
	// CA is PEM certificates, the only ones that may sign an arm's; "" takes the machine's.
	CA string `json:"ca,omitempty"`
}

// Watched is a response header that outcomes tell of.
type Watched struct {
	Name string `json:"name"`
	// Presence leaves the value out: it differs from response to response.
	Presence bool `json:"presence,omitempty"`
}

// MaxWatch bounds Load.Watch, and MaxSeenValue the bytes of a value that are
// kept: together they fit into Outcome.Seen.
const (
	MaxWatch     = 8
	MaxSeenValue = 100
)

// Seen writes what a response says in the watched headers: one line for each
// in their order, "" where the header is absent and "=" with its value where it
// is there. values returns all values of a header.
func (l *Load) Seen(values func(name string) []string) string {
	if len(l.Watch) == 0 {
		return ""
	}
	lines := make([]string, len(l.Watch))
	for i, w := range l.Watch {
		v := values(w.Name)
		switch {
		case len(v) == 0:
		case w.Presence:
			lines[i] = "="
		default:
			lines[i] = "=" + SeenValue(v)
		}
	}
	return strings.Join(lines, "\n")
}

// SeenValue is a header's values as Seen keeps them: joined, and cut to MaxSeenValue bytes.
func SeenValue(values []string) string {
	v := strings.ReplaceAll(strings.Join(values, ", "), "\n", " ")
	return cutTo(v, MaxSeenValue)
}

// SeenHeader is what a response said in one watched header; Value is "" where
// the header is absent, and where only its presence is watched.
type SeenHeader struct {
	Value string
	There bool
}

// SplitSeen takes an Outcome.Seen apart again, by watched
// header. It is nil for a text that Seen did not write for this load.
func (l *Load) SplitSeen(seen string) []SeenHeader {
	lines := strings.Split(seen, "\n")
	if len(lines) != len(l.Watch) {
		return nil
	}
	out := make([]SeenHeader, len(lines))
	for i, line := range lines {
		out[i].Value, out[i].There = strings.CutPrefix(line, "=")
	}
	return out
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// Expand puts the environment's values in the place of each ${NAME} of a
// header's value. A variable that is not set is an error that names it.
func Expand(value string, lookup func(string) (string, bool)) (string, error) {
	var missing error
	out := variable.ReplaceAllStringFunc(value, func(ref string) string {
		name := ref[2 : len(ref)-1]
		v, ok := lookup(name)
		if !ok && missing == nil {
			missing = fmt.Errorf("the environment variable %s is not set", name)
		}
		return v
	})
	return out, missing
}

// Variables lists the names that Expand would look up, in their order.
func Variables(value string) (names []string) {
	for _, m := range variable.FindAllStringSubmatch(value, -1) {
		names = append(names, m[1])
	}
	return names
}

// headerForm is that of one of Request.Headers.
var headerForm = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+): *([^\r\n\x00]*)$")

// SplitHeader takes "Name: value" apart.
func SplitHeader(line string) (name, value string, err error) {
	m := headerForm.FindStringSubmatch(line)
	if m == nil {
		return "", "", fmt.Errorf("%q is not a header; expected Name: value", line)
	}
	return m[1], m[2], nil
}

// SendMethod is the method of every request of the load.
func (l *Load) SendMethod() string {
	switch {
	case l.Request != nil && l.Request.Method != "":
		return l.Request.Method
	case l.SendBody() != "":
		return http.MethodPost
	}
	return http.MethodGet
}

// SendBody is what every request of the load carries.
func (l *Load) SendBody() string {
	if l.Request != nil && l.Request.Body != "" {
		return l.Request.Body
	}
	return strings.Repeat("x", l.RequestBytes)
}

var methodForm = regexp.MustCompile(`^[A-Z][A-Z-]{0,19}$`)

// own are the headers that the client itself writes.
var own = map[string]bool{
	"Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Te": true, "Upgrade": true, "Trailer": true,
}

func (l *Load) validateRequest() error {
	if len(l.Watch) > MaxWatch {
		return fmt.Errorf("load: %d watched headers; at most %d fit an outcome", len(l.Watch), MaxWatch)
	}
	r := l.Request
	if r == nil {
		return nil
	}
	switch {
	case l.Client != ClientNative:
		return fmt.Errorf("load: client %q cannot send a request of its own form; %q can", l.Client, ClientNative)
	case r.Method != "" && (!methodForm.MatchString(r.Method) || r.Method == http.MethodConnect):
		return fmt.Errorf("load: method %q is none that can be sent", r.Method)
	case r.Body != "" && l.RequestBytes > 0:
		return fmt.Errorf("load: both a body and request_bytes %d", l.RequestBytes)
	case len(r.Body) > MaxRequestBytes:
		return fmt.Errorf("load: the body has %d bytes; at most %d", len(r.Body), MaxRequestBytes)
	}
	for _, h := range r.Headers {
		name, _, err := SplitHeader(h)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if own[http.CanonicalHeaderKey(name)] {
			return fmt.Errorf("load: header %s: the client writes it itself", name)
		}
	}
	return nil
}
