package printable

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"app-service": "app-service",
		"größe 10 % “é” ──▶ 日本 🙂": "größe 10 % “é” ──▶ 日本 🙂",
		"a b":                             "a b",
		"\x1b]0;x\a\x1b[2J":               `\u001b]0;x\u0007\u001b[2J`,
		"a\r\n\tb\x00":                    `a\r\n\tb\u0000`,
		"c1\u009b31m del\x7f":             `c1\u009b31m del\u007f`,
		"\u202egpj.exe \u2066x\u2069":     `\u202egpj.exe \u2066x\u2069`,
		"zero\u200bwidth \u2028 \ufeff":   `zero\u200bwidth \u2028 \ufeff`,
		"tag \U000e0041":                  `tag \U000e0041`,
		"bad \xff utf":                    `bad \xff utf`,
		"x\n::error file=a::b":            `x\n::error file=a::b`, // no line begins there
		"::error file=a::b":               `\u003a:error file=a::b`,
		"  ::add-mask::x":                 `  \u003a:add-mask::x`,
		"word ::error::x":                 `word \u003a:error::x`, // a wrapped line may begin there
		"::a ::b ::c::d":                  `\u003a:a \u003a:b \u003a:c::d`,
		"##[error]x":                      `\u0023#[error]x`,
		"a ##vso[task.setvariable]":       `a \u0023#vso[task.setvariable]`,
		"from ::/0 and ::ffff:192.0.2.1 ": "from ::/0 and ::ffff:192.0.2.1 ",
		"AWS::ECS::Service at a::b":       "AWS::ECS::Service at a::b",
	} {
		got := Line(in)
		if got != want {
			t.Errorf("Line(%q) = %s; want %s", in, got, want)
		}
		if again := Line(got); again != got {
			t.Errorf("Line twice of %q: %s", in, again)
		}
	}
}

type word string

type level int

func (level) String() string { return "high\n" }

func TestFprintf(t *testing.T) {
	var b bytes.Buffer
	Fprintf(&b, "%s|%v|%d|%.1f|%-6s|%6s|%q|%s|%d|%s|%t|%v\n", "a\nb", errors.New("e\x1b"), 7, 1.5, "x\n", word("y\n"), "q\x1b", Safe("\x1b[31m"),
		level(3), level(3), true, []string{"l\n", "m"})
	want := `a\nb|e\u001b|7|1.5|x\n   |   y\n|"q\x1b"|` + "\x1b[31m" + `|3|high\n|true|[l\n m]` + "\n"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
	b.Reset()
	Fprintln(&b, "::error::x", 2*time.Second)
	if b.String() != `\u003a:error::x 2s`+"\n" {
		t.Errorf("Fprintln: %q", b.String())
	}
}

// TestJSON: the document holds nothing that cannot be seen, and is the same value.
func TestJSON(t *testing.T) {
	in := map[string]string{"k\u202e": "\x00\x1b\u009b\u2066\u200b\U000e0041 é 🙂 <&>"}
	var b bytes.Buffer
	if err := JSON(&b, in); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
		t.Errorf("at %d: %q", i, b.String())
	}
	var out map[string]string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%q (%v); want %q", out, err, in)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("::error::x\n\x1b[2J\u202e##[y")
	f.Add(" ::a::b::c ::d e::")
	f.Fuzz(func(t *testing.T, s string) {
		got := Line(s)
		if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsGraphic(r) }); i >= 0 {
			t.Errorf("Line(%q) = %q", s, got)
		}
		if again := Line(got); again != got {
			t.Errorf("Line(%q) is not its own Line: %q, %q", s, got, again)
		}
		for _, w := range strings.FieldsFunc(got, unicode.IsSpace) {
			if lineCommand.MatchString(w) || anyCommand.MatchString(w) {
				t.Errorf("Line(%q) = %q has a command: %q", s, got, w)
			}
		}
	})
}
