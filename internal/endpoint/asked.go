// Package endpoint measures addresses that hoplab did not start: it reads which
// arms are asked for, looks at what their responses say of the way they came,
// and carries a plan out against them. It judges no latency.
package endpoint

import (
	"encoding/pem"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Asked is what the user said of endpoints, as written.
type Asked struct {
	Arms       []string // "agent=http://10.0.1.5:8080/"
	Connect    []string // "agent=10.0.1.5:443"
	ServerName []string // "agent=app.internal", or "app.internal" for every arm with TLS
	Proof      []string // "agent: header server = envoy", "bypass: no header via"
	Method     string
	Headers    []string // "Name: value"
	Body       string
	HTTP2      bool
	CA         string // PEM
}

// Read returns the arms and the request that were asked for. The proofs that
// the user named are in the arms; Discover adds what responses show. Errors
// carry fail.Usage.
func (a Asked) Read() ([]plan.Arm, *samplefile.Request, error) {
	arms, err := a.arms()
	if err != nil {
		return nil, nil, err
	}
	if err := a.places(arms); err != nil {
		return nil, nil, err
	}
	for _, text := range a.Proof {
		name, proof, err := ParseProof(text)
		if err != nil {
			return nil, nil, err
		}
		i := slices.IndexFunc(arms, func(arm plan.Arm) bool { return arm.Name == name })
		if i < 0 {
			return nil, nil, noArm("proof", text, name, arms)
		}
		arms[i].Endpoint.Proof = append(arms[i].Endpoint.Proof, proof)
	}
	r, err := a.request()
	return arms, r, err
}

const armHint = "write e.g. --arm agent=http://10.0.1.5:8080/ --arm bypass=http://10.0.1.6/"

func (a Asked) arms() ([]plan.Arm, error) {
	var out []plan.Arm
	for _, text := range a.Arms {
		name, address, ok := strings.Cut(text, "=")
		if !ok || name == "" || address == "" {
			return nil, fail.Newf(fail.Usage, armHint, "--arm %q: expected NAME=URL", text)
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return nil, fail.Newf(fail.Usage, armHint, "--arm %q: expected an http or https URL after the name", text)
		}
		if u.Path == "" {
			u.Path = "/"
		}
		out = append(out, plan.Arm{
			Name: name, Weight: 1, Path: []string{"client", u.Host},
			Endpoint: &plan.Endpoint{URL: u.String()},
		})
	}
	if len(out) < 2 {
		return nil, fail.Newf(fail.Usage, armHint, "%d arm(s): a comparison needs two, at most %d", len(out), plan.MaxEndpoints)
	}
	return out, nil
}

// places fills in where arms are dialled, and by which name in TLS.
func (a Asked) places(arms []plan.Arm) error {
	for _, text := range a.Connect {
		name, address, ok := strings.Cut(text, "=")
		if !ok {
			return fail.Newf(fail.Usage, "write e.g. --connect agent=10.0.1.5:443", "--connect %q: expected NAME=ADDRESS:PORT", text)
		}
		i := slices.IndexFunc(arms, func(arm plan.Arm) bool { return arm.Name == name })
		if i < 0 {
			return noArm("connect", text, name, arms)
		}
		arms[i].Endpoint.Connect = address
	}
	for _, text := range a.ServerName {
		name, server, ok := strings.Cut(text, "=")
		if !ok {
			server = text
		}
		hit := false
		for i := range arms {
			if ok && arms[i].Name == name || !ok && strings.HasPrefix(arms[i].Endpoint.URL, "https:") {
				arms[i].Endpoint.ServerName, hit = server, true
			}
		}
		if !hit && ok {
			return noArm("sni", text, name, arms)
		}
		if !hit {
			return fail.Newf(fail.Usage, "use https, or leave it out", "--sni %q: no arm has TLS", text)
		}
	}
	return nil
}

func noArm(flag, text, name string, arms []plan.Arm) error {
	var names []string
	for _, a := range arms {
		names = append(names, a.Name)
	}
	return fail.Newf(fail.Usage, "choose from "+strings.Join(names, ", "), "--%s %q: there is no arm %q", flag, text, name)
}

// secret are the headers whose values nobody wants in a run directory.
var secret = map[string]bool{"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "X-Api-Key": true}

// request is what every request is like; nil when nothing was asked of it.
func (a Asked) request() (*samplefile.Request, error) {
	r := &samplefile.Request{Method: a.Method, Headers: a.Headers, Body: a.Body, HTTP2: a.HTTP2, CA: a.CA}
	for _, line := range a.Headers {
		name, value, err := samplefile.SplitHeader(line)
		if err != nil {
			return nil, fail.Newf(fail.Usage, "write e.g. --header 'Accept: application/json'", "--header: %w", err)
		}
		if secret[http.CanonicalHeaderKey(name)] && len(samplefile.Variables(value)) == 0 {
			return nil, fail.Newf(fail.Usage, "write --header '"+name+": ${NAME}', in single quotes, with the value in the environment variable NAME",
				"--header %s: its value would stay in the run directory", name)
		}
	}
	if a.CA != "" {
		if block, _ := pem.Decode([]byte(a.CA)); block == nil || block.Type != "CERTIFICATE" {
			return nil, fail.Newf(fail.Usage, "give a file that begins with -----BEGIN CERTIFICATE-----", "--ca: no certificate in PEM")
		}
	}
	if a.Method == "" && len(a.Headers) == 0 && a.Body == "" && !a.HTTP2 && a.CA == "" {
		return nil, nil
	}
	return r, nil
}

var proofForm = regexp.MustCompile("^([^:]+): *(no +)?header +([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: *= *(.*))?$")

// ParseProof reads "ARM: header NAME = VALUE", "ARM: header NAME" or "ARM: no
// header NAME". A value is compared as it is, up to samplefile.MaxSeenValue bytes.
func ParseProof(text string) (arm string, proof plan.HeaderProof, err error) {
	m := proofForm.FindStringSubmatch(strings.TrimSpace(text))
	valued := strings.Contains(text, "=")
	if m == nil || m[2] != "" && valued {
		return "", proof, fail.Newf(fail.Usage, "write e.g. --proof 'agent: header server = envoy' or --proof 'bypass: no header server'",
			"--proof %q: not understood", text)
	}
	proof = plan.HeaderProof{Name: http.CanonicalHeaderKey(m[3]), Want: plan.WantPresent, Named: true}
	switch {
	case m[2] != "":
		proof.Want = plan.WantAbsent
	case valued:
		proof.Want, proof.Value = plan.WantValue, samplefile.SeenValue([]string{strings.TrimSpace(m[4])})
	}
	return strings.TrimSpace(m[1]), proof, nil
}
