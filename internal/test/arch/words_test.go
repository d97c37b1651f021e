package arch

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// oldWords are words that stood for several things, or for things that Envoy,
// AWS or Go programs have another word for. CONTRIBUTING.md lists the same.
var oldWords = []struct{ old, field string }{
	{"door", "endpoint, listener or ingress rule; what to dial is a DialInfo"},
	{"obstacle", "reason of a DialError"},
	{"carrier", "node process"},
	{"outsider", "external host"},
	{"hush", "quiet"},
	{"hushed", "quiet"},
	{"loud", "restore"},
	{"nss", "namespaces"},
	{"tgs", "target groups"},
	{"hands", "handshakes"},
	{"journey", "path trace"},
	{"passage", "security group verdict"},
	{"leg", "hop, or source of evidence"},
	{"arrival", "delivery"},
	{"vague", "unknown"},
}

// oldNames are old words only as a whole name; as a part of one they are plain
// English (readBack, inFront, worldOpen).
var oldNames = []struct{ old, field string }{
	{"Front", "downstream codec"}, {"NewFront", "downstream codec"},
	{"Back", "upstream codec"}, {"NewBack", "upstream codec"},
	{"world", "deployment copy; a twin; in tests a network"}, {"worlds", "deployment copies"}, {"newWorld", "newCopy"},
	{"beside", "host with the load balancer's groups"}, {"Beside", "host with the load balancer's groups"},
	{"Way", "route of an arm"}, {"Ways", "routes of the arms"},
}

// inProse are the old words that stay good English outside of names.
var inProse = []string{"loud", "hands", "leg", "arrival", "vague"}

// kept are names of others, or that users have written down.
var kept = []string{
	"two-open-doors", "TwoOpenDoors", // a rule's ID, which stands in files of accepted findings
	"hoplab lab door", "door URL", "newLabDoor", // the old name of lab dial
	`"doors"`, `\"doors\"`, "`doors`", // an old key of evidence, which is still read
	"constant-arrival-rate", // k6's executor
}

// TestFieldsWords: no name in the code and no text that a program prints or a
// document says uses an old word.
func TestFieldsWords(t *testing.T) {
	for _, f := range sources(t) {
		if f.path == "internal/test/arch/words_test.go" {
			continue // the list itself
		}
		selected := map[*ast.Ident]bool{}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.SelectorExpr:
				selected[n.Sel] = true // named where it is declared, here or elsewhere
			case *ast.Ident:
				if selected[n] {
					return true
				}
				if i := slices.IndexFunc(oldNames, func(o struct{ old, field string }) bool { return o.old == n.Name }); i >= 0 {
					t.Errorf("%s:%d: %s is an old word; say %s", f.path, f.line(n.Pos()), n.Name, oldNames[i].field)
				}
				if w := oldIn(n.Name, nil); w != "" && !slices.Contains(kept, n.Name) {
					t.Errorf("%s:%d: %s: %q is an old word; say %s", f.path, f.line(n.Pos()), n.Name, w, instead(w))
				}
			case *ast.BasicLit:
				if w := oldIn(without(n.Value), inProse); n.Kind == token.STRING && w != "" {
					t.Errorf("%s:%d: %s: %q is an old word; say %s", f.path, f.line(n.Pos()), n.Value, w, instead(w))
				}
			}
			return true
		})
	}
	for _, p := range append(files(t, ".md"), files(t, ".js")...) {
		if p == "CONTRIBUTING.md" {
			continue // the list itself
		}
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			if w := oldIn(without(line), inProse); w != "" {
				t.Errorf("%s:%d: %q is an old word; say %s", p, i+1, w, instead(w))
			}
		}
	}
}

// TestWordsAreListed: every word is in CONTRIBUTING.md with what to say.
func TestWordsAreListed(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range slices.Concat(oldWords, oldNames) {
		if !regexp.MustCompile(`(?m)^\| [^|]*\b` + w.old + `\b[^|]* \|`).Match(data) {
			t.Errorf("CONTRIBUTING.md does not say what to write for %q: %s", w.old, w.field)
		}
	}
}

// without is a text without the names that are kept.
func without(text string) string {
	for _, k := range kept {
		text = strings.ReplaceAll(text, k, "")
	}
	return text
}

func instead(word string) string {
	for _, w := range oldWords {
		if w.old == word {
			return w.field
		}
	}
	return ""
}

// oldIn returns the first old word in a name or a text, but for those allowed.
func oldIn(text string, allowed []string) string {
	for _, w := range wordsOf(text) {
		for _, o := range oldWords {
			if (w == o.old || w == o.old+"s") && !slices.Contains(allowed, o.old) {
				return o.old
			}
		}
	}
	return ""
}

// wordsOf splits a text, or a name at its capitals, into words of small letters.
func wordsOf(text string) []string {
	var out []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			end()
		}
		word = append(word, r)
	}
	end()
	return out
}

func TestWordsCanFail(t *testing.T) {
	for text, want := range map[string]string{
		"newDoor": "door", "NoDoor": "door", "DoorsOf": "door", "httpDoor": "door", "the netns fabric has no doors": "door",
		"indoors": "", "Loudness": "", "frontend": "", "startCarrier": "carrier", "x.tgs": "tgs",
		"Elegance": "", "HTTPDoor": "door",
	} {
		if got := oldIn(text, nil); got != want {
			t.Errorf("oldIn(%q) = %q; want %q", text, got, want)
		}
	}
	if got := oldIn(without("`hoplab lab door` leads to two doors"), inProse); got != "door" {
		t.Errorf("a name that is kept hides %q", got)
	}
	if got := oldIn("a proxy in front of the app", inProse); got != "" {
		t.Errorf("%q counts in prose", got)
	}
}
