// Package semantics cites docs/semantics.md, the fact sheet of what Service
// Connect, load balancers and security groups do. A test holds every citation
// in the code against the headings and table rows of that page.
package semantics

import (
	"strconv"
	"strings"
)

// Ref cites sections of the page, and rows of the table in section 10. The
// zero value cites nothing. Refs are comparable.
type Ref struct {
	sections string // "4, 6"
	rows     string // "10 rows 9, 10 and 27"
}

// Section cites the sections with the numbers.
func Section(n ...int) Ref {
	words := make([]string, len(n))
	for i, s := range n {
		words[i] = strconv.Itoa(s)
	}
	return Ref{sections: strings.Join(words, ", ")}
}

// Row cites rows of the table in section 10, which says what a caller sees in
// each situation.
func Row(n ...int) Ref { return Ref{}.Row(n...) }

// Row returns r with rows of the table in section 10 cited too.
func (r Ref) Row(n ...int) Ref {
	switch len(n) {
	case 0:
		r.rows = ""
	case 1:
		r.rows = "10 row " + strconv.Itoa(n[0])
	default:
		last := len(n) - 1
		r.rows = "10 rows " + Section(n[:last]...).sections + " and " + strconv.Itoa(n[last])
	}
	return r
}

// String returns the citation in short: "6, 10 rows 9, 10 and 27".
func (r Ref) String() string { return r.join(", ") }

// Cite returns the citation for a reader who does not know where he is:
// "semantics 6; 10 rows 9, 10 and 27".
func (r Ref) Cite() string { return "semantics " + r.join("; ") }

func (r Ref) join(sep string) string {
	if r.sections == "" || r.rows == "" {
		return r.sections + r.rows
	}
	return r.sections + sep + r.rows
}

// IsZero reports whether r cites nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// MarshalText writes what String returns.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
