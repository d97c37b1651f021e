package resource

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

func TestSymbols(t *testing.T) {
	for _, address := range []string{"aws_lb.main", `module.a["x\"y"].aws_lb.main[0]`, "data.aws_vpc.v"} {
		s := Symbol(address, "arn")
		gotAddress, attr, ok := ParseSymbol(s)
		if !ok || gotAddress != address || attr != "arn" {
			t.Errorf("ParseSymbol(Symbol(%s)) = %s, %s, %v", address, gotAddress, attr, ok)
		}
		if got, want := Render("x-"+s), "x-${"+address+".arn}"; got != want {
			t.Errorf("Render = %s, want %s", got, want)
		}
		if IsSettled(s) || IsExactSymbol("x"+s) || !IsExactSymbol(s) {
			t.Errorf("%q is taken for something else", s)
		}
		// A template may put a symbol into JSON without encoding it.
		var out string
		if err := json.Unmarshal([]byte(`"`+s+`"`), &out); err != nil || out != s {
			t.Errorf("in JSON: %v", err)
		}
	}
	for _, s := range []string{"", "x", Symbol("a", "b") + Symbol("c", "d"), "\ufdd0a\ufdd3", "\ufdd0a\ufdd1b", Hole("x")} {
		if _, _, ok := ParseSymbol(s); ok {
			t.Errorf("ParseSymbol(%q)", s)
		}
	}
}

func TestHoles(t *testing.T) {
	h := Hole("variable \"x\" has\nno\\value" + Reserved)
	var out string
	if err := json.Unmarshal([]byte(`"`+h+`"`), &out); err != nil {
		t.Fatal(err)
	}
	if why, ok := ParseHole(out); !ok || why != "variable 'x' hasno/value" {
		t.Errorf("ParseHole = %q, %v", why, ok)
	}
	s := "a" + h + "b" + Symbol("aws_lb.x", "id") + h
	if got, want := OpenParts(s), "variable 'x' hasno/value; aws_lb.x.id is known only after apply"; got != want {
		t.Errorf("OpenParts = %q", got)
	}
	if got, want := Render(s), "a${unknown}b${aws_lb.x.id}${unknown}"; got != want {
		t.Errorf("Render = %q", got)
	}
	if OpenParts("plain") != "" || OpenParts("\ufdd0open") != "" {
		t.Error("OpenParts of text without parts")
	}
}

// TestReading takes one attribute of each kind through every accessor: it
// must be known, unknown with a reason, or absent, and never fail.
func TestReading(t *testing.T) {
	values := map[string]cty.Value{
		"string":  cty.StringVal("80"),
		"text":    cty.StringVal("x"),
		"number":  cty.NumberIntVal(80),
		"float":   cty.NumberFloatVal(1.5),
		"bool":    cty.True,
		"null":    cty.NullVal(cty.String),
		"unknown": Unknown("because"),
		"typed":   cty.UnknownVal(cty.Set(cty.String)).Mark(Cause{Text: "because"}),
		"symbol":  cty.StringVal(Symbol("aws_lb.x", "id")),
		"list": cty.TupleVal([]cty.Value{cty.StringVal("a"), cty.NullVal(cty.String), Unknown("because"),
			cty.StringVal(Symbol("aws_lb.x", "id"))}),
		"objects": cty.TupleVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{"a": cty.True}), Unknown("because")}),
		"object":  cty.ObjectVal(map[string]cty.Value{"a": cty.StringVal("v")}),
		"empty":   cty.ListValEmpty(cty.String),
	}
	b := NewBody("main.tf", 1)
	for name, v := range values {
		b.Attrs[name] = Attr{Value: v, File: "main.tf", Line: 2}
	}
	state := func(unknown, absent bool, why string) string {
		switch {
		case unknown && strings.HasPrefix(why, "main.tf:2: "):
			return "?"
		case unknown:
			return "bad reason: " + why
		case absent:
			return "-"
		}
		return "="
	}
	tests := map[string]string{ // String, Int, Bool, number of Strings, of Refs, of List
		"string": "== ? 1 1 0", "text": "=?? 1 1 0", "number": "==? 1 1 0", "float": "=?? 1 1 0", "bool": "=?= 1 1 0",
		"null": "--- 0 0 0", "unknown": "??? 1 1 0", "typed": "??? 1 1 0", "symbol": "??? 1 1 0",
		"list": "??? 3 3 0", "objects": "??? 2 2 1", "object": "??? 1 1 1", "empty": "??? 0 0 0", "missing": "--- 0 0 0",
	}
	for name, want := range tests {
		s, i, bo := b.String(name), b.Int(name), b.Bool(name)
		blocks, _ := b.List(name)
		got := state(s.IsUnknown(), s.IsAbsent(), s.Why()) + state(i.IsUnknown(), i.IsAbsent(), i.Why()) + state(bo.IsUnknown(), bo.IsAbsent(), bo.Why())
		got += " " + string(rune('0'+len(b.Strings(name)))) + " " + string(rune('0'+len(b.Refs(name)))) + " " + string(rune('0'+len(blocks)))
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if r, ok := b.Ref("symbol").Get(); !ok || r != Symbol("aws_lb.x", "id") {
		t.Errorf("Ref = %q, %v", r, ok)
	}
	if why := b.String("unknown").Why(); why != "main.tf:2: unknown: because" {
		t.Errorf("Why = %q", why)
	}
	b.Physical = func(s string) (string, bool) { return Symbol("aws_lb.p", "id"), s == "x" }
	if r, _ := b.Ref("text").Get(); r != Symbol("aws_lb.p", "id") {
		t.Errorf("Ref of a physical id = %q", r)
	}
}

func TestJSONDepth(t *testing.T) {
	for text, want := range map[string]int{"": 0, "[]": 1, `{"a":[1,{"b":2}]}`: 3, `"[[["`: 0, `"\"[" [`: 1, "]]]": 0,
		strings.Repeat("[", 500): 500} {
		if got := JSONDepth(text); got != want {
			t.Errorf("JSONDepth(%.20q) = %d, want %d", text, got, want)
		}
	}
}
