package parity

import (
	"fmt"
	"testing"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// allowance is a difference that may be, with its reason. fits recognizes it
// in an exchange; those without never reach a comparison, for what the tests
// do leaves them out.
type allowance struct {
	name, reason string
	fits         func(difference) bool
}

// allowances are all differences that are allowed: at most ten. There is none
// in the access log and in what both hops count of HTTP/1.1.
var allowances = []allowance{
	{
		name:   "Which answers of a draining agent are a connection's last",
		reason: "Envoy draws lots for each; the share grows over the drain time, in the agent as well.",
	},
	{
		name:   "The order of fields, frames and flow control in HTTP/2",
		reason: "The agent's HTTP/2 is net/http's, which keeps fields in a map. Fields, values, bodies, trailers and how a stream ends are the same.",
	},
	{
		name: "Answers, bodies and trailers that HTTP/2 forbids",
		reason: "net/http judges them: it ends a stream where Envoy ends its connection, and passes over blanks around values and bodies " +
			"where none may be. Only what is broken sends them. What a request's head may be is judged as Envoy does.",
	},
	{
		name:   "Bytes counted on HTTP/2 connections",
		reason: "They are of other frames: settings, windows and compressed fields differ by implementation.",
	},
	{
		name: "Trailers that a request over HTTP/2 has not announced",
		reason: "net/http drops those that its trailer field does not name, and writes the names in that field in its own letters. gRPC's clients " +
			"send none.",
	},
	{
		name:   "A host without a route",
		reason: "Which error the kernel reports differs by network; the tests have none that it could not reach at all, and so cannot tell.",
	},
	{
		name:   "An empty record before a TLS handshake",
		reason: "Envoy's TLS library passes over it and crypto/tls refuses it. No client sends one.",
	},
	{
		name:   "Chunks of a body that takes many reads",
		reason: "Both make a chunk of what one read gives them. How much that is, is up to the kernel; the bytes are the same.",
	},
}

// allowedFor returns the allowance for a difference, or nil.
func allowedFor(d difference) *allowance {
	for i := range allowances {
		if a := &allowances[i]; a.fits != nil && a.fits(d) {
			return a
		}
	}
	return nil
}

// TestAllowances holds the table in docs/trials.md against the list.
func TestAllowances(t *testing.T) {
	layer.Full(t, "is about a real Envoy")
	if len(allowances) > 10 {
		t.Errorf("%d differences are allowed, at most 10 may be", len(allowances))
	}
	table := "| allowed | why |\n| --- | --- |\n"
	for _, a := range allowances {
		table += fmt.Sprintf("| %s | %s |\n", a.name, a.reason)
	}
	labtest.Trials{Update: *update}.Same(t, "parity", table)
}
