package h1

import (
	"bytes"
	"strings"
)

// AppendEscaped is AppendLowerField under a name that net/http leaves alone where it
// would change the field.
func AppendEscaped(dst []byte, f *Field) []byte {
	if altered(f) {
		dst = append(dst, Escape...)
	}
	return AppendLowerField(dst, f)
}

// altered reports whether net/http makes something else of a field in any of the
// messages between a hop and a codec: it adds Cache-Control to Pragma, obeys
// Expect, parts cookies and keeps one User-Agent.
func altered(f *Field) bool {
	switch f.ID {
	case Expect, UserAgent:
		return true
	}
	for _, name := range []string{"pragma", "cookie"} {
		if equalFold(f.Name, name) {
			return true
		}
	}
	_, own := cutPrefixFold(f.Name, Escape)
	return own
}

// unescape takes the fields of a request that were hidden from net/http for what they are.
func (r *Request) unescape(note func(*Head, *Field) error) error {
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		own, escaped := cutPrefixFold(f.Name, Escape)
		if !escaped {
			kept = append(kept, f)
			continue
		}
		switch string(bytes.ToLower(f.Name)) {
		case EscapedPath:
			r.Target = f.Value
		case EscapedScheme:
			r.Scheme = f.Value
		case EscapedLength:
			r.Length, r.lengths = -1, 0
		default:
			f.Name, f.ID = own, idOf(own)
			if err := note(&r.Head, &f); err != nil {
				return err
			}
			kept = append(kept, f)
		}
	}
	if r.Fields = kept; r.Length < 0 {
		r.Remove([]byte("content-length"))
	}
	return nil
}

// Shown returns a head without its empty line, and as it is meant where something in
// it is hidden from net/http.
func Shown(head []byte) string {
	text := string(bytes.TrimSuffix(head, []byte("\r\n")))
	if !strings.Contains(text, "\r\n"+Escape) && !strings.Contains(text, "\r\n"+streamPrefix) {
		return text
	}
	lines := strings.SplitAfter(text, "\r\n")
	out := lines[:1]
	for _, line := range lines[1:] {
		own, hidden := strings.CutPrefix(line, Escape)
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case !hidden && !strings.HasPrefix(line, streamPrefix):
			out = append(out, line)
		case name == EscapedPath:
			method, _, _ := strings.Cut(out[0], " ")
			out[0] = method + " " + strings.TrimSuffix(value, "\r\n") + " HTTP/1.1\r\n"
		case name == EscapedHost:
			out[1] = "host: " + value
		case hidden && name != EscapedScheme && name != EscapedLength:
			out = append(out, own)
		}
	}
	return strings.Join(out, "")
}
