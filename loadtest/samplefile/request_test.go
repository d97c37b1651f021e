package samplefile

import (
	"slices"
	"strings"
	"testing"
)

// What Seen writes SplitSeen takes apart again, whatever a header holds.
func TestSeenThereAndBack(t *testing.T) {
	load := Load{Watch: []Watched{{Name: "Server"}, {Name: "Via"}, {Name: "X-Time", Presence: true}, {Name: "X-Long"}}}
	headers := map[string][]string{"Server": {""}, "X-Time": {"12"}, "X-Long": {strings.Repeat("é", 80), "a\nb"}}
	seen := load.Seen(func(name string) []string { return headers[name] })
	want := []SeenHeader{{"", true}, {"", false}, {"", true}, {strings.Repeat("é", MaxSeenValue/2), true}}
	if got := load.SplitSeen(seen); !slices.Equal(got, want) {
		t.Errorf("%q: %+v; want %+v", seen, got, want)
	}
	if load.SplitSeen("(more)") != nil || load.SplitSeen(seen+"\n=x") != nil {
		t.Error("a text that Seen does not write was taken for one")
	}
	if len(load.Watch)*(MaxSeenValue+2) > maxSeen*2 || MaxWatch*(MaxSeenValue+2) > maxSeen {
		t.Error("the watched headers do not fit an outcome")
	}
}

func TestRequestThatCannotBeSent(t *testing.T) {
	for name, r := range map[string]Request{
		"method":          {Method: "get"},
		"CONNECT":         {Method: "CONNECT"},
		"header":          {Headers: []string{"no colon"}},
		"two lines":       {Headers: []string{"A: b\r\nC: d"}},
		"client's own":    {Headers: []string{"content-length: 5"}},
		"too long a body": {Body: strings.Repeat("x", MaxRequestBytes+1)},
	} {
		l := Load{Client: ClientNative, Request: &r}
		if l.validateRequest() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	ok := Load{Client: ClientNative, Request: &Request{Method: "PATCH", Headers: []string{"Accept: */*", "X-Empty:"}, Body: "{}"}}
	if err := ok.validateRequest(); err != nil || ok.SendMethod() != "PATCH" {
		t.Errorf("%v, %s", err, ok.SendMethod())
	}
	viaK6 := Load{Client: ClientHTTP, Request: &Request{}}
	if viaK6.validateRequest() == nil {
		t.Error("k6/http was given a request of its own form")
	}
}

func TestExpand(t *testing.T) {
	env := map[string]string{"A": "1", "B_2": "two"}
	lookup := func(n string) (string, bool) { v, ok := env[n]; return v, ok }
	if got, err := Expand("x ${A}-${B_2} $A ${}", lookup); got != "x 1-two $A ${}" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Expand("${NONE}", lookup); err == nil || !strings.Contains(err.Error(), "NONE") {
		t.Errorf("%v; want an error that names it", err)
	}
	if got := Variables("${A}${A} ${NONE}"); !slices.Equal(got, []string{"A", "A", "NONE"}) {
		t.Errorf("%v", got)
	}
}
