package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/reach/render"
)

// notStarted is the error of a lab that ended before it was up: its own, with
// its hint and exit code, as it stands in the log. The log is read from the
// open file, because a lab that ends removes its directory.
func notStarted(err error, p labctl.Place, log *os.File) error {
	code := fail.Environment
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == int(fail.Usage) {
		code = fail.Usage
	}
	text, hint, _ := strings.Cut(strings.TrimSpace(string(read(log))), "\n  → ")
	if i := strings.LastIndex(text, serveError); i >= 0 {
		text = text[i+len(serveError):] // what comes before is progress, and what nodes say
	}
	if text == "" {
		text = fmt.Sprint(err)
	}
	return failedStart(code, hint, text, p, log)
}

// serveError is how lab serve begins its own error.
const serveError = "hoplab lab serve: "

// maxReason bounds what is read of the log of a lab that did not start.
const maxReason = 1 << 20

func read(log *os.File) []byte {
	data, _ := io.ReadAll(io.NewSectionReader(log, 0, maxReason)) // what cannot be read is not shown
	return data
}

// failedStart says the first cause alone, how many more there are, and where
// they all are. A log that has more than the screen is kept beside the lab's
// directory, which is gone by then.
func failedStart(code fail.Code, hint, text string, p labctl.Place, log *os.File) error {
	c := firstCause(text)
	said := c.text
	if c.alike > 0 {
		said += fmt.Sprintf("; and %d more like it", c.alike)
	}
	if c.others > 0 {
		said += "; and " + render.Plural(c.others, "other error")
	}
	if c.alike+c.others > 0 || c.cut {
		if kept, err := p.KeepLog(log); err == nil {
			said += "; the whole is in " + kept
		}
	}
	return fail.Newf(code, hint, "the lab did not start: %s", said)
}

// cause is the first cause of a failed start, with what else was said.
type cause struct {
	text          string
	alike, others int // further errors: of the same kind, and of another
	cut           bool
}

// maxCause is how much of a cause the screen shows, in characters.
const maxCause = 600

// firstCause finds the cause in what failed parts said, a line each: the first
// that is no consequence of another one and no warning.
func firstCause(text string) cause {
	var causes, consequences []string
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		switch line = strings.TrimSpace(line); {
		case line == "" || envoyNote.MatchString(line):
		case consequence.MatchString(line):
			consequences = append(consequences, line)
		default:
			causes = append(causes, line)
		}
	}
	all := append(causes, consequences...)
	if len(all) == 0 {
		return cause{text: oneLine(text)}
	}
	c := cause{text: all[0]}
	for _, line := range all[1:] {
		if kindOfLine(line) == kindOfLine(all[0]) {
			c.alike++
		} else {
			c.others++
		}
	}
	if r := []rune(c.text); len(r) > maxCause {
		c.text, c.cut = string(r[:maxCause])+" …", true
	}
	return c
}

var (
	// envoyNote is a line of an Envoy's log that is no error.
	envoyNote = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d [^\]]*\]\[\d+\]\[(trace|debug|info|warning)\]`)
	// consequence is what a part says that was ended because of another.
	consequence = regexp.MustCompile(`(context canceled|signal: killed|signal: interrupt)\)?$`)
	// varying is what differs between errors of one kind: numbers, identifiers,
	// paths and the names of resources.
	varying = regexp.MustCompile(`[^ :;,()"]*[0-9/][^ :;,()"]*`)
)

// kindOfLine is a line without what tells one task from another.
func kindOfLine(line string) string { return varying.ReplaceAllString(line, "·") }
