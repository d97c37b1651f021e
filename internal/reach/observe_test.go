package reach

import (
	"testing"

	"github.com/hoplab/hoplab/internal/call"
)

func TestDisagrees(t *testing.T) {
	route := Outcome{Class: HTTPError, Status: 504, Body: BodyRouteTimeout, Match: Exact}
	for _, tc := range []struct {
		name string
		o    Outcome
		seen call.Observation
		want bool
	}{
		{"the same", route, call.Observation{Status: 504, Body: BodyRouteTimeout}, false},
		{"another body", route, call.Observation{Status: 504, Body: "Gateway"}, true},
		{"another status", route, call.Observation{Status: 503, Body: BodyRouteTimeout}, true},
		{"no answer", route, call.Observation{Exit: 56, Error: CurlReset}, true},
		{"part of a page", Outcome{Class: HTTPError, Status: 502, Body: page502, Match: Contains},
			call.Observation{Status: 502, Body: "<h1>502 Bad Gateway</h1>"}, false},
		{"another page", Outcome{Class: HTTPError, Status: 502, Body: page502, Match: Contains},
			call.Observation{Status: 502, Body: "<h1>nginx</h1>"}, true},
		{"open body", Outcome{Class: OK, Status: 200}, call.Observation{Status: 200, Body: "anything"}, false},
		{"reset", Outcome{Class: Reset, Curl: CurlReset}, call.Observation{Exit: 56, Error: CurlReset}, false},
		{"reset in other words", Outcome{Class: Reset, Curl: CurlReset}, call.Observation{Exit: 52, Error: "curl: (52) Empty reply from server"},
			true},
		{"closed either way", Outcome{Class: Reset}, call.Observation{Exit: 52, Error: "curl: (52) Empty reply from server"}, false},
		{"no name", Outcome{Class: NoName, Curl: CurlNoName("x")}, call.Observation{Exit: 6, Error: "curl: (6) Could not resolve host: x"},
			false},
		{"timeout", Outcome{Class: Timeout, Curl: curlTimeout("x", 80)},
			call.Observation{Exit: 28, Error: "curl: (28) Failed to connect to x port 80 after 127001 ms: Couldn't connect to server"}, false},
		{"refused is no timeout", Outcome{Class: Timeout}, call.Observation{Exit: 7}, true},
		{"unknown", Outcome{Class: Unknown}, call.Observation{Status: 418}, false},
	} {
		if got := tc.o.Disagrees(tc.seen); (got != "") != tc.want {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}
