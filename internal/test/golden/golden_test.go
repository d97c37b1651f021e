package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listener is a test that notes what is said of it.
type listener struct {
	testing.TB
	said string
}

func (l *listener) Helper()                           {}
func (l *listener) Fatal(args ...any)                 { l.said += fmt.Sprint(args...) }
func (l *listener) Errorf(format string, args ...any) { l.said += fmt.Sprintf(format, args...) }
func (l *listener) Fatalf(format string, args ...any) {
	l.said += fmt.Sprintf(format, args...)
	panic(l)
}

func said(path, got string) (text string) {
	l := &listener{}
	defer func() {
		if r := recover(); r != nil && r != any(l) {
			panic(r)
		}
		text = l.said
	}()
	Check(l, path, []byte(got))
	return l.said
}

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "file")
	if s := said(path, "a\nb\n"); !strings.Contains(s, "-update") {
		t.Errorf("a file that is not there: %q", s)
	}
	*Update = true
	s := said(path, "a\nb\n")
	*Update = false
	if kept, err := os.ReadFile(path); s != "" || string(kept) != "a\nb\n" {
		t.Errorf("with -update: %q, wrote %q, %v", s, kept, err)
	}
	for got, want := range map[string]string{
		"a\nb\n": "", "a\nc\n": "line 2:\nc\nwant\nb\n", "a\nb": "line 2", "a\nb\nc\n": "line 3:\nc\nwant\n\n", "": "line 1:\n\nwant\na\n",
	} {
		if s := said(path, got); (s == "") != (want == "") || !strings.Contains(s, want) {
			t.Errorf("%q beside a, b: %q", got, s)
		}
	}
}
