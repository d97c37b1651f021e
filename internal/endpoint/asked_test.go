package endpoint_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hoplab/hoplab/internal/endpoint"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

func TestParseProof(t *testing.T) {
	for text, want := range map[string]string{
		"agent: header server = envoy":  "agent|Server|value|envoy",
		"a b:header via=1.1 x, 1.1 y":   "a b|Via|value|1.1 x, 1.1 y",
		"agent: header X-Cache":         "agent|X-Cache|present|",
		"bypass: no header server":      "bypass|Server|absent|",
		"agent: header server =":        "agent|Server|value|",
		"agent: server = envoy":         "",
		"agent: no header via = 1.1":    "",
		"header server = envoy":         "",
		"agent: header two words":       "",
		"agent: header server: envoy":   "",
		"agent: header ser\nver = x":    "",
		"agent: no header x-y = \"z\"":  "",
		"agent: header a = b: header c": "agent|A|value|b: header c",
	} {
		arm, proof, err := endpoint.ParseProof(text)
		got := strings.Join([]string{arm, proof.Name, proof.Want, proof.Value}, "|")
		if want != "" && (got != want || err != nil) || want == "" && fail.CodeOf(err) != fail.Usage {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestAskedThatIsRefused(t *testing.T) {
	two := []string{"a=http://x", "b=https://y:8443/p?q"}
	for want, a := range map[string]endpoint.Asked{
		"expected NAME=URL":             {Arms: []string{"http://x", "b=http://y"}},
		"URL after the name":            {Arms: []string{"a=x", "b=http://y"}},
		"needs two":                     {Arms: two[:1]},
		"there is no arm \"c\"":         {Arms: two, Connect: []string{"c=1.2.3.4:5"}},
		"expected NAME=ADDRESS:PORT":    {Arms: two, Connect: []string{"1.2.3.4:5"}},
		"no arm has TLS":                {Arms: []string{"a=http://x", "b=http://y"}, ServerName: []string{"z"}},
		"--sni \"c=z\": there is no":    {Arms: two, ServerName: []string{"c=z"}},
		"--proof \"c: header via\"":     {Arms: two, Proof: []string{"c: header via"}},
		"stay in the run directory":     {Arms: two, Headers: []string{"authorization: Bearer x"}},
		"is not a header":               {Arms: two, Headers: []string{"x"}},
		"--ca: no certificate in PEM":   {Arms: two, CA: "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"},
		"--proof \"a: via\": not under": {Arms: two, Proof: []string{"a: via"}},
	} {
		if _, _, err := a.Read(); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), want) || fail.HintOf(err) == "" {
			t.Errorf("%v; want a usage error with %q and a next step", err, want)
		}
	}
	arms, request, err := endpoint.Asked{Arms: two, ServerName: []string{"z"}, Headers: []string{"Authorization: Bearer ${TOKEN}"},
		Connect: []string{"a=1.2.3.4:5"}}.Read()
	if err != nil {
		t.Fatal(err)
	}
	if arms[0].Endpoint.URL != "http://x/" || arms[0].Endpoint.Connect != "1.2.3.4:5" || arms[1].Endpoint.ServerName != "z" || request == nil {
		t.Errorf("%+v %+v %+v", arms[0].Endpoint, arms[1].Endpoint, request)
	}
}

// site answers with headers that each call may choose.
func site(t *testing.T, headers func(n int64, h http.Header)) string {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { headers(n.Add(1), w.Header()) }))
	t.Cleanup(s.Close)
	return s.URL
}

// What is discovered: constant values, presence of what changes, and nothing of
// what comes and goes.
func TestDiscover(t *testing.T) {
	a := site(t, func(n int64, h http.Header) {
		h.Set("X-Envoy-Upstream-Service-Time", fmt.Sprint(n))
		h.Set("Via", "1.1 p")
		h.Set("X-Request", fmt.Sprint(n))
		h.Set("X-Zone", "a")
		h.Set("Etag", "1")
		if n%2 == 0 {
			h.Set("Server", "sometimes")
		}
	})
	b := site(t, func(n int64, h http.Header) { h.Set("Via", fmt.Sprint("1.1 q", n)); h.Set("X-Zone", "b") })
	p := planFor(t, endpoint.Asked{Arms: []string{"a=" + a, "b=" + b}})
	if err := discover(t, &p); err != nil {
		t.Fatal(err)
	}
	if got := endpoint.Words(p.Arms[0].Endpoint.Proof); got != "via = 1.1 p, x-envoy-upstream-service-time, x-request, x-zone = a" {
		t.Errorf("a: %s", got)
	}
	if got := endpoint.Words(p.Arms[1].Endpoint.Proof); got != "no server, via, no x-envoy-upstream-service-time, no x-request, x-zone = b" {
		t.Errorf("b: %s", got)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

// What the user named and no response says is refused; so are statuses that no
// measurement can rest on.
func TestDiscoverRefuses(t *testing.T) {
	a := site(t, func(_ int64, h http.Header) { h.Set("Server", "nginx") })
	b := site(t, func(_ int64, h http.Header) {})
	wrong := httptest.NewServer(http.NotFoundHandler())
	defer wrong.Close()
	for _, c := range []struct {
		asked endpoint.Asked
		code  fail.Code
		want  string
	}{
		{endpoint.Asked{Arms: []string{"a=" + a, "b=" + b}, Proof: []string{"a: header server = envoy"}},
			fail.Refused, "a response has server = nginx"},
		{endpoint.Asked{Arms: []string{"a=" + a, "b=" + b}, Proof: []string{"b: header via"}}, fail.Refused, "a response has no via"},
		{endpoint.Asked{Arms: []string{"a=" + a, "b=" + a}}, fail.Refused, "look alike"},
		{endpoint.Asked{Arms: []string{"a=" + a, "b=" + wrong.URL}}, fail.Environment, "status 404"},
		{endpoint.Asked{Arms: []string{"a=" + a, "b=http://127.0.0.1:1"}}, fail.Environment, "does not answer"},
	} {
		p := planFor(t, c.asked)
		if err := discover(t, &p); fail.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v; want code %d with %q", c.asked, err, c.code, c.want)
		}
	}
	p := planFor(t, endpoint.Asked{Arms: []string{"a=" + a, "b=" + a}})
	p.Alike = true
	if err := discover(t, &p); err != nil || p.Arms[0].Expect.Status != 200 {
		t.Errorf("%v: alike was said", err)
	}
}

// The twin expects what its arm expects.
func TestTwinExpectsTheSame(t *testing.T) {
	arms, _, err := endpoint.Asked{Arms: []string{
		"a=" + site(t, func(_ int64, h http.Header) { h.Set("Server", "a") }), "b=" + site(t, func(int64, http.Header) {})}}.Read()
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	p.ForEndpoints()
	p.SetEndpoints(arms, true)
	if err := discover(t, &p); err != nil {
		t.Fatal(err)
	}
	twin, base := p.Arms[2], p.Arms[1]
	if twin.Expect != base.Expect || endpoint.Words(twin.Endpoint.Proof) != endpoint.Words(base.Endpoint.Proof) || twin.Expect.Status != 200 {
		t.Errorf("%+v and %+v", twin, base)
	}
}
