package plan

import (
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Bounds of a plan for endpoints.
const (
	// MaxEndpoints is how many arms may be compared; more leave each too few
	// requests, and too many lines for anybody to read.
	MaxEndpoints = 6
	// MaxSentBody is the most bytes of a body that stands in the plan.
	MaxSentBody = 64 << 10
	// EndpointsRate is the default rate over all arms in requests/s: little for
	// anything that serves at all. It is prime for StandardRate's reason.
	EndpointsRate = 199
)

// Endpoint is where an arm is called.
type Endpoint struct {
	URL string `json:"url"` // http or https
	// Connect, when set, is the address and port that is dialled instead of the URL's.
	Connect string `json:"connect,omitempty"`
	// ServerName, when set, is the name in the TLS handshake, and of the certificate.
	ServerName string `json:"server_name,omitempty"`
	// Proof is what every response must say beside Arm.Expect.
	Proof []HeaderProof `json:"proof,omitempty"`
}

// HeaderProof is what every response of an arm must say in one header.
type HeaderProof struct {
	Name string `json:"name"` // in canonical form: "Server"
	Want string `json:"want"` // WantValue, WantPresent or WantAbsent
	// Value is the value of WantValue, as samplefile.SeenValue writes it.
	Value string `json:"value,omitempty"`
	// Named is set when the user asked for it, and not when it was discovered.
	Named bool `json:"named,omitempty"`
}

// What a HeaderProof wants.
const (
	WantValue   = "value"
	WantPresent = "present"
	WantAbsent  = "absent"
)

// Holds reports whether a response that said this in the header is as wanted.
func (h HeaderProof) Holds(said samplefile.SeenHeader) bool {
	switch h.Want {
	case WantValue:
		return said.There && said.Value == h.Value
	case WantPresent:
		return said.There
	}
	return !said.There
}

// Excludes reports whether no response can be as both want.
func (h HeaderProof) Excludes(o HeaderProof) bool {
	if h.Want == WantAbsent || o.Want == WantAbsent {
		return h.Want != o.Want
	}
	return h.Want == WantValue && o.Want == WantValue && h.Value != o.Value
}

func (h HeaderProof) String() string {
	name := strings.ToLower(h.Name)
	switch {
	case h.Want == WantAbsent:
		return "no " + name
	case h.Want == WantPresent:
		return name
	case h.Value == "":
		return name + " = \"\""
	}
	return name + " = " + h.Value
}

// ForEndpoints makes p a plan for addresses that hoplab did not start. There is
// no core to share with them, and the rate is bounded: the standard profile has
// replicates of 16 s, in which each of three arms gets about 1,060 requests.
func (p *Plan) ForEndpoints() {
	p.Target, p.Fabric, p.Agent, p.EnvoyWorkers, p.OneCore = TargetEndpoints, "", "", 0, false
	p.RatePerS, p.VUs = EndpointsRate, 50
	if p.Profile == ProfileStandard {
		p.ReplicateS = 16
	}
}

// FromTask makes p, a plan for endpoints, one whose load comes from a load task,
// in AWS or, as fabric says, in hoplab cloud.
func (p *Plan) FromTask(fabric string) { p.Fabric, p.KeepAwake = fabric, false }

// SetEndpoints replaces the arms. When twin is set, the baseline gets an A/A
// twin: the same address under another name, over connections of its own.
func (p *Plan) SetEndpoints(arms []Arm, twin bool) {
	p.Arms = append([]Arm(nil), arms...)
	if twin && len(arms) > 0 {
		p.Arms = append(p.Arms, Twin(arms[p.Baseline()]))
	}
}

// Watch lists the headers that a plan's proofs look at, as a load generator
// must tell of them: in the order of the arms, each once. Only presence is told
// where no arm wants a value.
func (p *Plan) Watch() []samplefile.Watched {
	var out []samplefile.Watched
	at := map[string]int{}
	for _, a := range p.Arms {
		if a.Endpoint == nil {
			continue
		}
		for _, h := range a.Endpoint.Proof {
			i, ok := at[h.Name]
			if !ok {
				i = len(out)
				at[h.Name] = i
				out = append(out, samplefile.Watched{Name: h.Name, Presence: true})
			}
			out[i].Presence = out[i].Presence && h.Want != WantValue
		}
	}
	return out
}

var endpointName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$`)

func (p *Plan) checkEndpoints() error {
	if p.Target != TargetEndpoints {
		if p.Request != nil || p.Restart != "" || p.Alike {
			return wrong("name the endpoints with --arm", "target %s: a request, a restart or alike is for the target endpoints", p.Target)
		}
		for _, a := range p.Arms {
			if a.Endpoint != nil {
				return wrong("leave it out, or use the target endpoints", "arm %q: an address of its own with target %s", a.Name, p.Target)
			}
		}
		return nil
	}
	plain := 0
	for i := range p.Arms {
		a := &p.Arms[i]
		if a.TwinOf == "" {
			plain++
			if !endpointName.MatchString(a.Name) || strings.HasSuffix(a.Name, TwinSuffix) {
				return wrong("write e.g. --arm agent=http://10.0.1.5:8080/", "arm name %q: expected up to 32 letters, digits, _, . and -, not ending in %s", a.Name, TwinSuffix)
			}
		}
		if err := a.checkEndpoint(); err != nil {
			return err
		}
	}
	switch {
	case plain > MaxEndpoints:
		return wrong("leave some out", "%d arms: expected 2 to %d", plain, MaxEndpoints)
	case p.Client != samplefile.ClientNative:
		return wrong("leave --client out", "client %q: endpoints are called by the native one", p.Client)
	case p.OneCore:
		return wrong("", "one_core: the endpoints' processes are not hoplab's to place")
	case p.Generators != 1:
		return wrong("leave --generators out", "generators %d: endpoints have one load generator, this machine", p.Generators)
	case p.Design != DesignRandom:
		return wrong("leave --profile article out", "design %q: endpoints are compared with design %s", p.Design, DesignRandom)
	case len(p.Watch()) > samplefile.MaxWatch:
		return wrong("leave some --proof out", "proofs look at %d headers: at most %d", len(p.Watch()), samplefile.MaxWatch)
	case p.Request != nil && len(p.Request.Body) > MaxSentBody:
		return wrong("send --request-body of that size instead", "the body has %d bytes: at most %d", len(p.Request.Body), MaxSentBody)
	}
	return nil
}

func (a *Arm) checkEndpoint() error {
	if a.Endpoint == nil {
		return wrong("write e.g. --arm agent=http://10.0.1.5:8080/", "arm %q has no address", a.Name)
	}
	u, err := url.Parse(a.Endpoint.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return wrong("write e.g. --arm agent=http://10.0.1.5:8080/", "arm %q: %q: expected an http or https URL", a.Name, a.Endpoint.URL)
	case u.User != nil:
		return wrong("write --header 'Authorization: Basic ${NAME}' with the value in that environment variable",
			"arm %q: the URL holds a password, which the run directory would keep", a.Name)
	case u.Fragment != "":
		return wrong("leave it out", "arm %q: #%s is never sent", a.Name, u.Fragment)
	case a.Endpoint.ServerName != "" && u.Scheme != "https":
		return wrong("leave --sni out, or use https", "arm %q: a server name without TLS", a.Name)
	}
	if c := a.Endpoint.Connect; c != "" {
		if host, port, err := net.SplitHostPort(c); err != nil || host == "" || port == "" {
			return wrong("write e.g. --connect agent=10.0.1.5:443", "arm %q: connect %q: expected an address and a port", a.Name, c)
		}
	}
	for _, h := range a.Endpoint.Proof {
		if h.Want != WantValue && h.Want != WantPresent && h.Want != WantAbsent {
			return wrong("", "arm %q: header %s is wanted %q", a.Name, h.Name, h.Want)
		}
	}
	return nil
}
