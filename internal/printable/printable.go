// Package printable makes text from outside fit for a terminal, a log and the
// log of a CI job. Names in templates, errors of other programs and file names
// are written by others: what they hold must be seen, not obeyed.
package printable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line returns text as one line that shows what it holds. Line breaks, tabs and
// other control characters (C0, DEL, C1), those that turn or hide text (the
// categories Cf, Zl and Zp), unassigned code points and bytes that are no UTF-8
// become escapes as in a Go string: \n, \u001b, \u202e, \xff. The beginning of a
// workflow command, which a CI job's runner would obey, has its first character
// escaped. Line of a Line is the same.
func Line(text string) string {
	if !strings.ContainsFunc(text, escaped) && utf8.ValidString(text) {
		return noCommand(text)
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case escaped(r):
			b.WriteString(escape(r))
		default:
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return noCommand(b.String())
}

// escaped reports whether a rune is shown as its number. Spaces other than the
// ASCII one are graphic.
func escaped(r rune) bool { return !unicode.IsGraphic(r) }

func escape(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// Commands of CI runners. GitHub's reads "::name::" and "::name key=value::"
// behind any space at the beginning of a line, which a line break between words
// can make of any word; and "##[name]" anywhere, as Azure's does "##vso[" and
// TeamCity's "##teamcity[".
var (
	lineCommand = regexp.MustCompile(`(^|\s)::([A-Za-z][A-Za-z0-9_-]*)(::|\s)`)
	anyCommand  = regexp.MustCompile(`##([A-Za-z]*\[)`)
)

func noCommand(text string) string {
	for lineCommand.MatchString(text) { // a match may end in the space before the next
		text = lineCommand.ReplaceAllString(text, `${1}\u003a:${2}${3}`)
	}
	if strings.Contains(text, "##") {
		text = anyCommand.ReplaceAllString(text, `\u0023#${1}`)
	}
	return text
}

// Lines is Line for each of several texts.
func Lines(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = Line(t)
	}
	return out
}

// Safe is text that the program has put together itself, of Lines and of what
// Line would escape: colours and line breaks.
type Safe string

// Fprintf is fmt.Fprintf with every argument but numbers, truth values and Safe
// shown as Line shows it; format is written as it is.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	return fmt.Fprintf(w, format, guard(args)...)
}

// Fprintln writes its arguments as fmt.Fprintln does, each as Fprintf shows it.
func Fprintln(w io.Writer, args ...any) (int, error) {
	return fmt.Fprintln(w, guard(args)...)
}

func guard(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch a.(type) {
		case Safe, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
			out[i] = a
		default:
			out[i] = guarded{a}
		}
	}
	return out
}

// guarded is an argument whose text is escaped after formatting, and before it
// is padded.
type guarded struct{ of any }

func (g guarded) Format(f fmt.State, verb rune) {
	if verb != 's' && verb != 'v' {
		io.WriteString(f, Line(fmt.Sprintf(fmt.FormatString(f, verb), g.of)))
		return
	}
	text := Line(fmt.Sprintf("%"+string(verb), g.of))
	if precision, ok := f.Precision(); ok {
		if r := []rune(text); len(r) > precision {
			text = string(r[:precision])
		}
	}
	if width, ok := f.Width(); ok {
		if f.Flag('-') {
			width = -width
		}
		text = fmt.Sprintf("%*s", width, text)
	}
	io.WriteString(f, text)
}

// JSON writes v as indented JSON. encoding/json escapes the control characters
// below the space; this escapes the others that Line does, so that the document
// can be looked at in a terminal and is the same value to every reader.
func JSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(Document(b.Bytes()))
	return err
}

// Document returns a JSON document with what JSON escapes escaped.
func Document(doc []byte) []byte {
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && r != '\r' && escaped(r) }
	if !bytes.ContainsFunc(doc, hidden) {
		return doc
	}
	out := make([]byte, 0, len(doc)+64)
	for len(doc) > 0 {
		r, n := utf8.DecodeRune(doc)
		switch {
		case !hidden(r):
			out = append(out, doc[:n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		doc = doc[n:]
	}
	return out
}
